import assert from "node:assert/strict"
import { test } from "node:test"
import { mentions } from "../../static/js/dashboard/history/filters.js"
import { RowIndex } from "../../static/js/dashboard/list/model/row-index.js"
import * as finding from "../../static/js/dashboard/list/model/search-bundle.js"
import { found } from "../../static/js/dashboard/list/model/text-index.js"

const COMPOSED = "Caf\u00e9"
const DECOMPOSED = "Cafe\u0301"

test("composed and decomposed letters find each other, in keys and in values", () => {
  const values = new Map([
    [COMPOSED, 1],
    [DECOMPOSED, 2],
    ["a", `a ${COMPOSED}`],
    ["b", { deep: DECOMPOSED }],
    ["cafe", 3],
  ])
  const rows = new RowIndex((key) => ({ value: values.get(key) }))
  rows.replace([...values.keys()])
  rows.equip(finding)
  for (const q of ["caf\u00e9", "cafe\u0301", "CAF\u00c9"]) {
    rows.show({ q })
    assert.deepEqual([...rows.keys].sort(), ["a", "b", COMPOSED, DECOMPOSED].sort(), q)
  }
})

test("what was found is marked as it stands there", () => {
  for (const text of [COMPOSED, DECOMPOSED])
    for (const filter of [COMPOSED.toLowerCase(), DECOMPOSED.toLowerCase()]) {
      const { at, end } = found(`x ${text} y`, filter)
      assert.equal(`x ${text} y`.slice(at, end), text)
    }
  assert.deepEqual(found("a(b)", "(B)"), { at: 1, end: 4 })
})

test("the past is searched in the same way", () => {
  assert.ok(mentions({ op: "set", key: DECOMPOSED, value: 1 }, "caf\u00e9"))
  assert.ok(mentions({ op: "set", key: "a", value: COMPOSED }, "cafe\u0301"))
})
