import assert from "node:assert/strict"
import { createServer } from "node:http"
import { test } from "node:test"
import { signIn } from "../../static/js/client/auth.js"

/** Run `then` with a server that gives this answer to every request, like a proxy or a network's sign-in page. */
async function answering(status, type, body, then) {
  const server = createServer((_request, response) => response.writeHead(status, { "Content-Type": type }).end(body))
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening))
  try {
    return await then(`http://127.0.0.1:${server.address().port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test("an answer that is not the server's is told as such", async () => {
  for (const status of [200, 413, 502, 503, 504])
    await answering(status, "text/html", "<h1>nginx</h1>", (url) =>
      assert.rejects(signIn({ url, username: "ada", password: "x" }), (refusal) => {
        assert.equal(refusal.code, "unavailable")
        assert.match(refusal.message, new RegExp(`in front of ${url} answered instead of the server \\(${status}\\)`))
        return true
      }),
    )
})

test("an answer of the server's is passed on", async () => {
  const problem = JSON.stringify({
    type: "urn:rkv:error:invalid_credentials",
    title: "No",
    status: 401,
    detail: "Wrong.",
    code: "invalid_credentials",
  })
  await answering(401, "application/problem+json", problem, (url) =>
    assert.rejects(signIn({ url, username: "ada", password: "x" }), { code: "invalid_credentials", message: "Wrong." }),
  )
  const answer = await answering(200, "application/json", '{"ok":true,"token":"t"}', (url) =>
    signIn({ url, username: "a", password: "b" }),
  )
  assert.deepEqual(answer, { token: "t" })
})
