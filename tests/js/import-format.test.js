import assert from "node:assert/strict"
import { test } from "node:test"

import {
  inWords,
  leftAlone,
  progress,
  size,
  touched,
  typeOf,
  undoAll,
  withoutAnswer,
} from "../../static/js/pages/import-format.js"

const nothing = { added: 0, changed: 0, removed: 0, unchanged: 0, skipped: 0, expired: 0, outside: 0 }

test("a file is known by its name, or by how it begins", () => {
  assert.equal(typeOf("a.json", '{"a":1}\n{"b":1}'), "application/json")
  assert.equal(typeOf("a.NDJSON", ""), "application/x-ndjson")
  assert.equal(typeOf("a.jsonl", ""), "application/x-ndjson")
  assert.equal(typeOf("a.txt", '\ufeff{"key":"a","value":1}\n{"key":"b","value":2}\n'), "application/x-ndjson")
  for (const text of ['{\n"a": 1}', '{"a":1}', '{"a":1}\n', "[1]\n[2]", "", "null\nnull"])
    assert.equal(typeOf("a.txt", text), "application/json")
})

test("what an import does is said in words", () => {
  assert.equal(inWords(nothing), "Nothing was changed")
  assert.equal(inWords({ ...nothing, added: 1 }), "1 key was added")
  assert.equal(inWords({ ...nothing, added: 1234, removed: 1 }), "1,234 keys were added, 1 removed")
  assert.equal(inWords({ ...nothing, changed: 1, removed: 2 }, true), "1 key would be changed, 2 removed")
  assert.equal(touched({ ...nothing, added: 3, changed: 2, removed: 1, unchanged: 9 }), 6)
  assert.deepEqual(leftAlone(nothing), [])
  assert.deepEqual(leftAlone({ ...nothing, unchanged: 1, expired: 2 }), [
    "1 key already is as in the file.",
    "2 keys of the file have expired.",
  ])
})

test("bytes are told as the server tells them", () => {
  const told = [0, 1023, 1024, 1536, 1024 ** 2 - 1, 67_108_864, 3 * 1024 ** 4].map(size)
  assert.deepEqual(told, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "1024 KiB", "64 MiB", "3 TiB"])
})

test("progress is told as far as it is known", () => {
  assert.deepEqual(progress("receiving", 50, 200), { text: "Uploading: 25 %", done: 50, total: 200 })
  assert.deepEqual(progress("receiving", 0, 0).text, "Uploading: 0 %")
  assert.equal(progress("checking", 0, 0).total, 0)
  assert.equal(progress("writing", 1_000, 2_500).text, "Writing: 1,000 of 2,500 keys")
})

test("an import is undone from its last write to its first", async () => {
  const asked = []
  const told = []
  const call = async (verb, payload) => asked.push([verb, payload.revision, payload.op_id])
  const outcome = await undoAll([4, 5, 6], call, (...so) => told.push(so))
  assert.deepEqual(outcome, { undone: 3, refusal: null })
  assert.deepEqual(
    asked,
    [6, 5, 4].map((revision) => ["undo", revision, `undo-import-${revision}`]),
  )
  assert.deepEqual(told, [
    [1, 3],
    [2, 3],
    [3, 3],
  ])
})

test("undoing stops at a refusal, and tells how far it came", async () => {
  const refusal = new Error("conflict")
  const call = async (_, { revision }) => {
    if (revision === 5) throw refusal
  }
  assert.deepEqual(await undoAll([4, 5, 6], call), { undone: 1, refusal })
})

test("what answers instead of the server is named, with what can be done", () => {
  assert.match(withoutAnswer(413), /413.*client_max_body_size/)
  for (const status of [502, 503, 504])
    assert.match(withoutAnswer(status), new RegExp(`proxy.*${status}.*Import the file again`))
  assert.match(withoutAnswer(200), /answered instead of it/)
  assert.match(withoutAnswer(0), /gave no answer.*client_max_body_size/)
})
