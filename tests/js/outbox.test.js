import assert from "node:assert/strict"
import { test } from "node:test"

import { Outbox, Refusal } from "../../static/js/outbox.js"

function outbox(options = {}) {
  const wire = []
  const timers = []
  let ids = 0
  const box = new Outbox({
    send: (verb, payload, answered) => wire.push({ verb, payload, answered }),
    later: (seconds, fn) => {
      const timer = { seconds, fn, cancelled: false, cancel: () => (timer.cancelled = true) }
      timers.push(timer)
      return timer
    },
    makeId: () => `id${++ids}`,
    ...options,
  })
  return { box, wire, timers, sent: () => wire.map(({ payload }) => payload.op_id) }
}

const set = (box, key, value = 1) => box.put("set", { key, value }, [key])

test("a write waits for a connection, and resolves with the answer", async () => {
  const { box, wire } = outbox()
  const done = set(box, "a")
  assert.equal(wire.length, 0)
  assert.deepEqual(box.pending, [{ verb: "set", payload: { key: "a", value: 1, op_id: "id1" }, keys: ["a"], prefixes: [], epoch: null, sent: false }])
  box.connected()
  wire[0].answered({ ok: true, revision: 1, version: 1 })
  assert.deepEqual(await done, { ok: true, revision: 1, version: 1 })
  assert.deepEqual(box.pending, [])
})

test("after a lost connection the unanswered are sent again, in order, with the same op_id", async () => {
  const { box, wire, sent } = outbox()
  box.connected()
  const first = set(box, "a")
  const second = set(box, "a", 2)
  const answeredLate = wire[0].answered
  box.disconnected()
  const third = set(box, "b")
  box.connected()
  assert.deepEqual(sent(), ["id1", "id2", "id1", "id2", "id3"])
  answeredLate({ ok: true, revision: 99 }) // belongs to the lost connection: says nothing any more
  for (const [i, { answered }] of wire.slice(2).entries()) answered({ ok: true, revision: i + 1, replayed: i === 0 })
  assert.deepEqual((await Promise.all([first, second, third])).map(({ revision }) => revision), [1, 2, 3])
})

test("a refusal rejects with its code, its sentence and what it carries", async () => {
  const { box, wire } = outbox()
  box.connected()
  const done = set(box, "a")
  wire[0].answered({ ok: false, error: { code: "conflict", message: "'a' is gone", entry: null } })
  await assert.rejects(done, (error) => {
    assert.ok(error instanceof Refusal)
    assert.deepEqual([error.code, error.message, error.entry], ["conflict", "'a' is gone", null])
    return true
  })
})

test("no more than the limit is on the wire at once", () => {
  const { box, wire } = outbox({ limit: 3 })
  box.connected()
  for (let i = 0; i < 10; i++) set(box, `k${i}`)
  assert.equal(wire.length, 3)
  wire[0].answered({ ok: true })
  assert.equal(wire.length, 4)
  box.disconnected()
  box.connected()
  assert.equal(wire.length, 7)
  assert.deepEqual(wire.slice(4).map(({ payload }) => payload.key), ["k1", "k2", "k3"])
})

test("a busy server is asked again after the time it names, and nothing overtakes meanwhile", async () => {
  const { box, wire, timers, sent } = outbox()
  box.connected()
  const done = set(box, "a")
  wire[0].answered({ ok: false, error: { code: "unavailable", message: "busy", retry_after: 3 } })
  const later = set(box, "a", 2)
  assert.equal(wire.length, 1)
  assert.equal(timers[0].seconds, 3)
  timers[0].fn()
  assert.deepEqual(sent(), ["id1", "id1", "id2"])
  wire[1].answered({ ok: true, revision: 1 })
  wire[2].answered({ ok: true, revision: 2 })
  assert.deepEqual([(await done).revision, (await later).revision], [1, 2])
})

test("it is not repeated once a later write to the same key is out", async () => {
  const { box, wire } = outbox()
  box.connected()
  const early = set(box, "a")
  set(box, "a", 2)
  wire[0].answered({ ok: false, error: { code: "unavailable", message: "busy" } })
  await assert.rejects(early, { code: "unavailable" })
})

test("what is done to a whole prefix is not repeated once a later write under it is out, nor the other way round", async () => {
  const busy = { ok: false, error: { code: "unavailable", message: "busy" } }
  const { box, wire } = outbox()
  box.connected()
  const clear = (prefix) => box.put("delete_prefix", { prefix }, [], [prefix])
  const repeated = clear("b/")
  const whole = clear("a/")
  const inner = clear("a/b/")
  const one = set(box, "a/b/new")
  clear("a/b/n")
  for (const { answered } of wire.slice(0, 4)) answered(busy)
  for (const refused of [whole, inner, one]) await assert.rejects(refused, { code: "unavailable" })
  assert.deepEqual(box.pending.map(({ payload }) => payload.prefix), ["b/", "a/b/n"])
  box.disconnected()
  box.connected()
  wire.at(-2).answered({ ok: true, revision: 1, count: 0 })
  assert.equal((await repeated).count, 0)
})

test("it is not repeated for ever", async () => {
  const { box, wire, timers } = outbox()
  box.connected()
  const done = set(box, "a")
  for (let i = 0; i < 6; i++) {
    wire[i].answered({ ok: false, error: { code: "rate_limited", message: "slow down", retry_after: 1 } })
    timers[i]?.fn()
  }
  await assert.rejects(done, { code: "rate_limited" })
  assert.equal(wire.length, 6)
})

test("a wait ends with the connection", () => {
  const { box, wire, timers } = outbox()
  box.connected()
  set(box, "a")
  wire[0].answered({ ok: false, error: { code: "unavailable", message: "busy" } })
  box.disconnected()
  assert.ok(timers[0].cancelled)
  box.connected()
  assert.equal(wire.length, 2)
})

test("when there will be no connection any more, every waiting write fails", async () => {
  const { box } = outbox()
  const one = set(box, "a")
  box.connected()
  const two = set(box, "b")
  box.fail(new Refusal({ code: "unauthenticated", message: "You were signed out." }))
  await assert.rejects(one, { code: "unauthenticated" })
  await assert.rejects(two, { code: "unauthenticated" })
  assert.deepEqual(box.pending, [])
})

test("it knows what is on its way", () => {
  const { box } = outbox()
  set(box, "a")
  assert.equal(box.awaits(({ keys }) => keys.includes("a")), false)
  box.connected()
  assert.equal(box.awaits(({ keys }) => keys.includes("a")), true)
})

test("what is on the wire when another data set turns up is the server's to judge", async () => {
  const held = { dataSet: "e1", entries: new Map() }
  const { box, wire } = outbox({ held })
  box.connected()
  const done = box.put("set", { key: "a", value: 1, if_revision: 1 }, ["a"])
  const other = set(box, "b")
  held.dataSet = "e2"
  box.connected()
  for (const [i, { answered }] of wire.entries()) answered({ ok: true, revision: i + 1 })
  assert.deepEqual([(await done).revision, (await other).revision], [1, 2])
})
