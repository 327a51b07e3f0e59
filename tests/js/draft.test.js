import assert from "node:assert/strict"
import { test } from "node:test"

import { Draft } from "../../static/js/dashboard/key/model/draft.js"

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
  assert.deepEqual(draft.send(0), { value: 2, ifRevision: 1 })
  draft.type("23")
  assert.equal(draft.entryIs(entry(2, 2)), "agrees")
  assert.deepEqual([draft.text, draft.edited, draft.ifRevision], ["23", true, 2])
})

test("a save keeps the text as it was typed", () => {
  const draft = new Draft("k", entry(1, 1))
  draft.type("[1,2]")
  draft.send(0)
  assert.equal(draft.entryIs(entry(2, [1, 2])), "agrees")
  assert.deepEqual([draft.text, draft.edited], ["[1,2]", false])
})

test("a text is edited as it is, and stays a text however it looks", () => {
  const draft = new Draft("k", entry(1, "two\nlines"))
  assert.deepEqual([draft.text, draft.mode, draft.edited], ["two\nlines", "text", false])
  draft.type("true")
  assert.deepEqual(draft.send(0).value, "true")
  draft.setMode("json")
  assert.deepEqual([draft.text, draft.reading.value], ['"true"', "true"])
  draft.setMode("text")
  assert.deepEqual([draft.text, draft.mode], ["true", "text"])
})

test("looking at a text as JSON changes nothing", () => {
  const draft = new Draft("k", entry(1, '{"a": "b"}'))
  draft.setMode("json")
  assert.deepEqual([draft.text, draft.edited], ['"{\\"a\\": \\"b\\"}"', false])
  draft.type('"other"')
  assert.equal(draft.edited, true)
})

test("what a text box would not give back as it is stays JSON", () => {
  for (const text of ["a\r\nb", "\u0000", "\u001b[1m"]) {
    const draft = new Draft("k", entry(1, text))
    assert.deepEqual([draft.mode, draft.text], ["json", JSON.stringify(text)])
    draft.setMode("text")
    assert.equal(draft.mode, "json")
  }
})

test("JSON made a text and back is what it was", () => {
  const draft = new Draft("k", entry(1, { a: 1 }))
  const { text } = draft
  draft.setMode("text")
  assert.deepEqual([draft.text, draft.reading.value, draft.edited], [text, text, true])
  draft.setMode("json")
  assert.deepEqual([draft.text, draft.edited], [text, false])
})

test("a long value is not formatted before it is asked for", () => {
  const value = Array.from({ length: 9_000 }, (_, i) => i % 10)
  const draft = new Draft("k", entry(1, value))
  assert.equal(draft.text, JSON.stringify(value))
  draft.format()
  assert.ok(draft.text.startsWith("[\n  0,\n"))
  assert.deepEqual(draft.reading.value, value)
})

test("the expiry is kept unless another one is chosen", () => {
  const draft = new Draft("k", entry(1, 1))
  assert.equal("ttl" in draft.send(0), false)
  draft.saving = null
  draft.expires = { ttl: null }
  assert.equal(draft.edited, true)
  assert.equal(draft.send(0).ttl, null)
  draft.expires = { ttl: 60 }
  assert.equal(draft.send(0).ttl, 60)
  draft.expires = { at: 90_000 }
  assert.equal(draft.send(30_000).ttl, 60)
  assert.equal(draft.entryIs({ ...entry(2, 1), expires_at: "x" }), "agrees")
  assert.equal(draft.edited, false)
})

test("who changes the expiry alone overwrites no value", () => {
  const draft = new Draft("k", entry(1, "old"))
  draft.expires = { ttl: 60 }
  assert.equal(draft.entryIs(entry(2, "theirs")), "updated")
  assert.deepEqual(draft.send(0), { value: "theirs", ifRevision: 2, ttl: 60 })
})

test("a merge is a draft on top of theirs", () => {
  const draft = new Draft("k", entry(1, { a: 1, b: 1 }))
  draft.type('{"a": 2, "b": 1}')
  draft.entryIs(entry(4, { a: 1, b: 2 }))
  draft.takeMerged({ a: 2, b: 2 })
  assert.deepEqual(
    [draft.reading.value, draft.ifRevision, draft.conflict, draft.unsaved],
    [{ a: 2, b: 2 }, 4, null, true],
  )
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
