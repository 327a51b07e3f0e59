import assert from "node:assert/strict"
import { test } from "node:test"

import { look } from "../../static/js/dashboard/shell/connection-status.js"

const seen = (kv, offlineSince = null, online = true) =>
  look({ kv: { clockAhead: 0, lastChange: null, ...kv }, offlineSince }, 100_000, online)

test("the pill says in a word how the connection is", () => {
  assert.deepEqual(seen({ state: "live", tabs: [1, 2, 3] }), { look: "live", text: "Live", more: " · 3 tabs" })
  assert.equal(seen({ state: "live", tabs: [1] }).more, " · 1 tab")
  assert.equal(seen({ state: "catching up" }).text, "Catching up")
  assert.equal(seen({ state: "signed out" }).text, "Signed out")
})

test("a connection just lost is being found again; after a while, or without a network, it is gone", () => {
  const lost = { state: "offline", lastChange: new Date(88_000).toISOString() }
  assert.deepEqual(seen(lost, 95_000), { look: "reconnecting", text: "Reconnecting…", more: " last change 12 s ago" })
  assert.equal(seen(lost, 80_000).look, "offline")
  assert.equal(seen(lost, 95_000, false).look, "offline")
  assert.equal(seen(lost).look, "offline")
})
