import assert from "node:assert/strict"
import { test } from "node:test"

import { UndoStack } from "../../static/js/dashboard/history/undo-stack.js"

const step = (...revisions) => ({ what: `step ${revisions}`, revisions })

test("what was done last is undone first, and what was undone last is done again first", () => {
  const steps = new UndoStack()
  const [one, two] = [step(1), step(2, 3)]
  steps.did(one)
  steps.did(two)
  assert.equal(steps.last, two)
  const [undoneTwo, undoneOne] = [step(4, 5), step(6)]
  steps.undid(two, undoneTwo)
  assert.equal(steps.last, one)
  steps.undid(one, undoneOne)
  assert.deepEqual([steps.last, steps.lastUndone], [null, undoneOne])
  const again = step(7)
  steps.redid(undoneOne, again)
  assert.deepEqual([steps.last, steps.lastUndone], [again, undoneTwo])
})

test("what was undone cannot be done again on top of something new", () => {
  const steps = new UndoStack()
  steps.did(step(1))
  steps.undid(steps.last, step(2))
  steps.did(step(3))
  assert.equal(steps.lastUndone, null)
})

test("nothing is undone twice, wherever it was undone", () => {
  const steps = new UndoStack()
  const mine = step(1, 2)
  steps.did(mine)
  assert.ok(steps.isDone(mine))
  steps.undid(step(2), step(3))
  assert.ok(!steps.isDone(mine))
  assert.equal(steps.last, null)
})

test("what can never be undone is forgotten", () => {
  const steps = new UndoStack()
  const lost = step(2)
  steps.did(step(1))
  steps.did(lost)
  steps.undid(lost)
  assert.deepEqual([steps.last, steps.lastUndone], [step(1), null])
})

test("fifty steps are remembered", () => {
  const steps = new UndoStack()
  for (let revision = 1; revision <= 60; revision++) steps.did(step(revision))
  let count = 0
  for (; steps.last; count++) steps.undid(steps.last)
  assert.equal(count, 50)
})
