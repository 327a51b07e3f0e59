import assert from "node:assert/strict"
import { test } from "node:test"

import { ChangeHighlights, FLASH, NEWS } from "../../static/js/dashboard/list/model/change-highlights.js"

test("a change flashes for a moment and stays news for longer", () => {
  const marks = new ChangeHighlights()
  marks.note("a", "changed", "Firefox on Linux", 1_000)
  assert.deepEqual(marks.of("a", 1_001), { kind: "changed", who: "Firefox on Linux", flashing: true })
  assert.equal(marks.of("a", 1_000 + FLASH).flashing, false)
  assert.equal(marks.of("a", 1_000 + NEWS), undefined)
  assert.equal(marks.sweep(1_000 + NEWS), false)
})

test("a flash is not prolonged by the next change, and not begun anew while it lasts", () => {
  const marks = new ChangeHighlights()
  for (const now of [0, 500, 1_500]) marks.note("a", "changed", "x", now)
  assert.equal(marks.of("a", FLASH - 1).flashing, true)
  assert.equal(marks.of("a", FLASH).flashing, false)
  marks.note("a", "changed", "x", FLASH)
  assert.equal(marks.of("a", FLASH).flashing, true)
})

test("nothing flashes while changes rain down", () => {
  const marks = new ChangeHighlights()
  for (let i = 0; i < 30; i++) marks.note(`k${i}`, "changed", "x", 1_000 + i)
  assert.equal(marks.bursting(1_030), true)
  assert.equal(marks.of("k29", 1_030).flashing, false)
  assert.equal(marks.of("k0", 1_030).flashing, true)
  marks.note("k99", "changed", "x", 3_000)
  assert.equal(marks.of("k99", 3_000).flashing, true)
})

test("what a sync found out is marked and does not flash", () => {
  const marks = new ChangeHighlights()
  marks.note("a", "new", "x", 1_000, true)
  assert.deepEqual(marks.of("a", 1_000), { kind: "new", who: "x", flashing: false })
})
