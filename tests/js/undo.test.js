import assert from "node:assert/strict"
import { test } from "node:test"

import { dashboard, settled } from "./page.js"

/** Answer every request until `done` resolves. */
async function answered(line, done, answer) {
  let over = false
  done.then(() => (over = true))
  for (; !over; await settled()) {
    if (line.sent.length === 0) continue
    const [{ verb, payload }] = line.sent
    const body = answer(payload)
    if (body.code) line.refuse(verb, body)
    else line.answer(verb, body)
  }
}

test("of several writes, those that could not be undone for now can be undone later", async () => {
  const { model, line } = await dashboard()
  model.undo.offer("Deleted 300 keys", [1, 2, 3])
  await model.undo.load()
  const undone = []
  let busy = true
  const answer = ({ revision, dry_run }) => {
    if (dry_run) return { count: 1 }
    if (busy && revision === 2) return { code: "quota_exceeded", message: "There is no room now." }
    undone.push(revision)
    return { revision: 10 + revision, count: 1 }
  }
  await answered(line, model.undo.last(), answer)
  assert.deepEqual([undone, model.undo.possible], [[3], true])
  busy = false
  await answered(line, model.undo.last(), answer)
  assert.deepEqual([undone, model.undo.possible, model.undo.repeatable], [[3, 2, 1], false, true])
})
