import assert from "node:assert/strict"
import { test } from "node:test"

import { Draft } from "../../static/js/dashboard/key/draft.js"

const entry = (revision, value) => ({ key: "k", value, revision, version: revision })

test("what is not being edited follows the entry", () => {
  const draft = new Draft("k", entry(1, { a: 1 }))
  assert.equal(draft.text, '{\n  "a": 1\n}')
  assert.equal(draft.entryIs(entry(2, [])), "updated")
  assert.equal(draft.text, "[]")
  assert.equal(draft.ifRevision, 2)
  assert.equal(draft.entryIs(null), "updated")
  assert.equal(draft.text, "")
  assert.equal(draft.ifRevision, 0)
})

test("a draft is never overwritten", () => {
  const draft = new Draft("k", entry(1, 1))
  draft.type("[1, 2")
  assert.equal(draft.entryIs(entry(2, "theirs"), { label: "Firefox on Linux" }), "conflict")
  assert.equal(draft.text, "[1, 2")
  assert.equal(draft.ifRevision, 1)
  assert.equal(draft.conflict.origin.label, "Firefox on Linux")
  assert.equal(draft.entryIs(entry(3, "again")), "conflict")
  assert.equal(draft.conflict.entry.revision, 3)
})

test("keep mine: the next save may replace what was seen, and only that", () => {
  const draft = new Draft("k", entry(1, 1))
  draft.type("2")
  draft.entryIs(entry(5, 3))
  draft.keepMine()
  assert.deepEqual([draft.text, draft.ifRevision, draft.edited, draft.conflict], ["2", 5, true, null])
})

test("take theirs: the draft gives way", () => {
  const draft = new Draft("k", entry(1, 1))
  draft.type("2")
  draft.entryIs(entry(5, 3))
  draft.takeTheirs()
  assert.deepEqual([draft.text, draft.ifRevision, draft.edited], ["3", 5, false])
})

test("deleted in another tab: saving creates it again, discarding shows that it is gone", () => {
  const draft = new Draft("k", entry(1, 1))
  draft.type("2")
  assert.equal(draft.entryIs(null), "conflict")
  assert.equal(draft.conflict.entry, null)
  draft.keepMine()
  assert.equal(draft.ifRevision, 0)
  assert.equal(draft.text, "2")
})

test("theirs is what mine says: nothing to ask", () => {
  const draft = new Draft("k", entry(1, { a: 1 }))
  draft.type('{"a":2}')
  assert.equal(draft.entryIs(entry(2, { a: 2 })), "updated")
  assert.equal(draft.edited, false)
})

test("a save that has landed is no conflict, also when its writer has typed on", () => {
  const draft = new Draft("k", entry(1, 1))
  draft.type("2")
  draft.saving = draft.text
  draft.type("23")
  assert.equal(draft.entryIs(entry(2, 2)), "agrees")
  assert.deepEqual([draft.text, draft.edited, draft.ifRevision], ["23", true, 2])
})

test("a save keeps the text as it was typed", () => {
  const draft = new Draft("k", entry(1, 1))
  draft.type("[1,2]")
  draft.saving = draft.text
  assert.equal(draft.entryIs(entry(2, [1, 2])), "agrees")
  assert.deepEqual([draft.text, draft.edited], ["[1,2]", false])
})

test("format makes the text readable, and leaves what is not JSON alone", () => {
  const draft = new Draft("k", null)
  draft.type("[1]")
  assert.equal(draft.format(), true)
  assert.equal(draft.text, "[\n  1\n]")
  draft.type("[1")
  assert.equal(draft.format(), false)
  assert.equal(draft.text, "[1")
})
