import assert from "node:assert/strict"
import { test } from "node:test"

import { sortKeys } from "../../static/js/keys.js"
import { Rows, inView, scrollFor } from "../../static/js/dashboard/list/rows.js"
import { randomness } from "./space.js"

const all = (rows) => Array.from({ length: rows.length }, (_, i) => rows.at(i))

test("keys stand in byte order, filtered or not, whatever comes and goes", () => {
  const random = randomness(3)
  const pool = ["a", "A", "ab", "b/a", "b/B", "～", "😀", "__proto__", "é"]
  const rows = new Rows()
  const expected = new Set()
  for (let step = 0; step < 2_000; step++) {
    const key = random.pick(pool)
    if (random.chance(0.5)) rows.add(key), expected.add(key)
    else rows.remove(key), expected.delete(key)
    if (random.chance(0.2)) rows.filter(random.pick(["", "a", "B", "x"]))
    if (random.chance(0.05)) rows.filter(""), assert.equal(rows.length, expected.size)
  }
  rows.filter("")
  assert.deepEqual(all(rows), [...expected].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y))))
  rows.filter("A")
  assert.ok(all(rows).every((key) => key.toLowerCase().includes("a")))
})

test("a row is found by its key", () => {
  const rows = new Rows()
  rows.replace(["c", "a", "b"])
  assert.deepEqual([rows.indexOf("b"), rows.indexOf("x"), rows.near("bb"), rows.has("c")], [1, -1, 2, true])
  rows.filter("c")
  assert.deepEqual([rows.indexOf("b"), rows.has("b")], [-1, true])
})

test("a filter is text, whatever it means elsewhere", () => {
  const rows = new Rows()
  const keys = ["a.b", "axb", "(", "[x", "a\\b", "a-b", "a/b", "É", "{1}", "$^"]
  rows.replace([...keys])
  for (const text of [...keys, "é", "A.", "]"]) {
    rows.filter(text)
    assert.deepEqual(all(rows), sortKeys(keys.filter((key) => key.toLowerCase().includes(text.toLowerCase()))), text)
  }
})

test("only what is in view is drawn", () => {
  assert.deepEqual(inView({ scrollTop: 0, height: 360, rowHeight: 36, count: 100_000 }), { first: 0, end: 18 })
  assert.deepEqual(inView({ scrollTop: 3_600, height: 360, rowHeight: 36, count: 100_000 }), { first: 92, end: 118 })
  assert.deepEqual(inView({ scrollTop: 3_600, height: 360, rowHeight: 36, count: 5 }), { first: 5, end: 5 })
})

test("a row is scrolled into view by the smallest move", () => {
  const view = { height: 100, rowHeight: 10 }
  assert.equal(scrollFor({ index: 5, scrollTop: 0, ...view }), 0)
  assert.equal(scrollFor({ index: 10, scrollTop: 0, ...view }), 10)
  assert.equal(scrollFor({ index: 2, scrollTop: 500, ...view }), 20)
})

test("100 000 keys are sorted, filtered and added to in no time to speak of", () => {
  const keys = Array.from({ length: 100_000 }, (_, i) => `folder-${i % 97}/key-${(i * 7919) % 100_000}`)
  const rows = new Rows()
  rows.replace([...keys])
  const start = performance.now()
  rows.filter("key-99")
  rows.add("folder-1/key-99-new")
  rows.filter("")
  rows.add("zzz")
  assert.ok(performance.now() - start < 250, `${performance.now() - start} ms`)
  assert.equal(rows.length, 100_002)
})
