import assert from "node:assert/strict"
import { test } from "node:test"

import { folderOf, kindsOf, standsStill, summaryOf } from "../../static/js/dashboard/history/change-kinds.js"
import { isBy, mentions } from "../../static/js/dashboard/history/filters.js"
import { textsOf } from "../../static/js/dashboard/history/versions.js"

const set = (key, value, version, more = {}) => ({ op: "set", key, value, version, ...more })
const gone = (key) => ({ op: "delete", key })
const history = (...steps) =>
  steps
    .map(([ops, via = "socket"], i) => ({ revision: i + 1, origin: { session: "s", via }, ops: [ops].flat() }))
    .reverse()

test("what a write did is told by what stood there before", () => {
  const writes = history(
    [set("a", 1, 1)],
    [set("a", 2, 2)],
    [set("a", 2, 3)],
    [set("a", 2, 4, { expires_at: "2030-01-01T00:00:00.000Z" })],
    [gone("a")],
    [set("a", 2, 5)],
    [gone("a"), "expiry"],
    [set("a", 9, 1)],
  )
  const told = kindsOf(writes).map(([{ kind }]) => kind)
  assert.deepEqual(told.reverse(), [
    "created",
    "changed",
    "set again",
    "expiry changed",
    "deleted",
    "restored",
    "expired",
    "created",
  ])
})

test("of what lies before what is known nothing is claimed", () => {
  assert.equal(kindsOf(history([set("a", 1, 7)]))[0][0].kind, "changed")
})

test("a bulk write is summed up", () => {
  const bulk = kindsOf(
    history([[set("d/a", 1, 1), set("d/b", 1, 1)]], [[gone("d/a"), set("d/b", 2, 2), set("d/c", 1, 1)]]),
  )
  assert.equal(summaryOf(bulk[1]), "Created 2 keys")
  assert.equal(summaryOf(bulk[0]), "Created 1, changed 1, deleted 1 keys")
  assert.equal(folderOf(["d/a/x", "d/a/y", "d/ab"]), "d/")
  assert.equal(folderOf(["d/a/x", "d/a/y"]), "d/a/")
  assert.equal(folderOf(["a", "b/c"]), "")
})

test("only a write whose keys are all as it left them can be undone", () => {
  const now = { a: { revision: 2 }, b: { revision: 3 } }
  const entryOf = (key) => now[key]
  assert.ok(standsStill({ revision: 2, ops: [set("a", 1, 1), gone("x")] }, entryOf))
  assert.ok(!standsStill({ revision: 2, ops: [set("a", 1, 1), set("b", 1, 1)] }, entryOf))
  assert.ok(!standsStill({ revision: 2, ops: [gone("b")] }, entryOf))
})

test("everybody's writes are told apart", () => {
  const us = { session: "me", wrote: (revision) => revision === 1, tokens: new Set(["token"]) }
  const by = (origin, revision = 2) =>
    ["tab", "device", "others", "api", "system"].filter((who) => isBy(who, { revision, origin }, us))
  assert.deepEqual(by({ session: "me", via: "socket" }, 1), ["tab", "device"])
  assert.deepEqual(by({ session: "me", via: "socket" }), ["device"])
  assert.deepEqual(by({ session: "phone", via: "socket" }), ["others"])
  assert.deepEqual(by({ session: "token", via: "socket" }), ["api"])
  assert.deepEqual(by({ session: "phone", via: "http" }), ["api"])
  assert.deepEqual(by({ session: "me", via: "http" }), ["api"])
  assert.deepEqual(by({ session: "", via: "expiry" }), ["system"])
  assert.deepEqual(by({ session: "me", via: "import" }), ["system"])
  assert.ok(isBy("all", { revision: 2, origin: { session: "x", via: "socket" } }, us))
})

test("the filter finds keys and values, in whatever case", () => {
  assert.ok(mentions(set("App/Flag", { x: "Grün" }, 1), "app/f"))
  assert.ok(mentions(set("a", { x: "Grün" }, 1), "GRÜN"))
  assert.ok(!mentions(gone("a"), "grün"))
  assert.ok(mentions(gone("a"), ""))
})

test("texts are compared as they are, and everything else as JSON", () => {
  assert.deepEqual(textsOf(set("a", "one\ntwo", 1), set("a", "one", 2)), ["one\ntwo", "one"])
  assert.deepEqual(textsOf(set("a", "one", 1), set("a", 1, 2)), ['"one"', "1"])
  assert.deepEqual(textsOf(undefined, set("a", "", 1)), [null, ""])
  assert.deepEqual(textsOf(set("a", [1], 1), gone("a")), ["[\n  1\n]", null])
})
