import assert from "node:assert/strict"
import { test } from "node:test"

import { client, settled, sync } from "./page.js"
import { Space } from "./space.js"

const quiet = (line) => (line.identity = null)

test("a test that nobody answers replaces the connection, and the state does not say live meanwhile", async () => {
  const { kv, line, space } = await client()
  const states = []
  kv.onState((state) => states.push(state))
  const { identity } = line
  quiet(line)
  const done = kv.test()
  assert.equal(kv.state, "live")
  // The request times out.
  line.lose("identify")
  await done
  assert.equal(kv.state, "offline")
  assert.equal(line.active, true)
  line.identity = identity
  line.opens()
  await sync(line, space)
  assert.deepEqual(states, ["live", "offline", "catching up", "live"])
})

test("a test that is answered, or refused, changes nothing", async () => {
  const { kv, line } = await client()
  await kv.test()
  quiet(line)
  const done = kv.test()
  line.refuse("identify", { code: "rate_limited", message: "later", retry_after: 1 })
  await done
  assert.equal(kv.state, "live")
})

test("writes that were on a dead connection are sent again on the next one, and none is accused", async () => {
  const { kv, line, space } = await client()
  const written = kv.set("a", 1)
  for (let i = 0; i < 3; i++) {
    const { identity } = line
    quiet(line)
    const done = kv.test()
    line.lose("identify")
    await done
    line.identity = identity
    line.opens()
    await sync(line, space)
  }
  line.answer("set", () => ({ revision: space.set("a", 1).revision, version: 1 }))
  assert.equal((await written).version, 1)
  assert.deepEqual(kv.quarantined, [])
})

test("another version of the server is told once, and no longer when it is gone", async () => {
  const { kv, line, space } = await client()
  const told = []
  kv.addEventListener("outdated", ({ detail }) => told.push(detail))
  const again = async (build) => {
    line.identity = { ...line.identity, server: { ...line.identity.server, version: build, build } }
    line.breaks()
    line.opens()
    await sync(line, space)
  }
  await again("b1")
  assert.equal(kv.outdated, false)
  await again("b2")
  await again("b2")
  assert.equal(kv.outdated, true)
  assert.deepEqual(told, [{ version: "b2", build: "b2" }])
  await again("b1")
  assert.equal(kv.outdated, false)
})

test("limits are those of the server", async () => {
  const space = new Space()
  const { kv, line } = await client(space)
  line.identity = { ...line.identity, limits: { ...line.identity.limits, message: 2_000 } }
  line.breaks()
  line.opens()
  await settled()
  await sync(line, space)
  await assert.rejects(kv.set("a", "x".repeat(2_000)), { code: "too_large", limit: 2_000 })
})

test("a server that is asked too much is left alone for as long as it says", async (t) => {
  const { kv, line } = await client()
  t.mock.timers.enable({ apis: ["setTimeout"] })
  quiet(line)
  line.breaks()
  line.opens()
  line.refuse("identify", { code: "rate_limited", message: "later", retry_after: 8 })
  await settled()
  assert.equal(kv.state, "offline")
  t.mock.timers.tick(7_900)
  assert.equal(line.active, false)
  t.mock.timers.tick(200)
  assert.equal(line.active, true)
  kv.close()
})
