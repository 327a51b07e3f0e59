import assert from "node:assert/strict"
import { test } from "node:test"

import { client } from "./page.js"

const { waiting } = await import("../../static/js/dashboard/shell/unload-guard.js")

test("whatever waits to be sent is told before it is lost", async () => {
  const { kv, line } = await client()
  line.breaks()
  kv.set("a", [1])
  kv.batch([
    { op: "set", key: "b", value: 2 },
    { op: "delete", key: "c" },
  ])
  kv.deletePrefix("d/")
  kv.move("e/", "f/")
  kv.restore("g")
  kv.undo(7)
  const told = waiting(kv.pending).map(({ key, text }) => `${key} ${text}`)
  const deleted = ["c (to be deleted)", "d/ (to be deleted)"]
  assert.deepEqual(told, [
    "a [1]",
    "b 2",
    ...deleted,
    "e/ (to be moved to f/)",
    "g (to be restored)",
    "Revision 7 (to be undone)",
  ])
})

test("nothing is kept for nobody", async () => {
  const { kv } = await client()
  await assert.rejects(kv.keep(), /for which user/)
})
