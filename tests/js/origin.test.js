import assert from "node:assert/strict"
import { createServer } from "node:http"
import { test } from "node:test"
import { originRefused } from "../../static/js/client/origin.js"

const HERE = "https://page.example"

/**
 * Run `then` with a server that closes the connection of requests for which `answers(url, number of earlier requests)`
 * is false. Node.js reads the answers of any origin.
 */
async function from(answers, then) {
  const seen = []
  const server = createServer((request, response) => {
    seen.push(request.url)
    if (answers(request.url, seen.length - 1)) response.end("{}")
    else request.socket.destroy()
  })
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening))
  globalThis.location = { origin: HERE }
  try {
    return await then(`http://127.0.0.1:${server.address().port}`, seen)
  } finally {
    delete globalThis.location
    server.closeAllConnections()
    server.close()
  }
}

test("who may read the modules and not the API is told which setting is missing", async () => {
  await from(
    (url) => url === "/rkv.js",
    async (base) => {
      const refusal = await originRefused(base)
      assert.deepEqual(
        [refusal.code, refusal.setting, refusal.origin, refusal.server],
        ["forbidden", "RKV_ORIGINS", HERE, base],
      )
    },
  )
})

test("who may read both is not refused, and our own page is not asked about", async () => {
  await from(
    () => true,
    async (base, seen) => {
      assert.equal(await originRefused(base), null)
      globalThis.location.origin = base
      const before = seen.length
      assert.equal(await originRefused(base), null)
      assert.equal(seen.length, before)
    },
  )
})

test("a server that goes away meanwhile has not refused anybody", async () => {
  await from(
    (_url, before) => before === 0,
    async (base) => assert.equal(await originRefused(base), null),
  )
})
