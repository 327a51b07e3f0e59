import assert from "node:assert/strict"
import { test } from "node:test"

import { messageBytes, parts } from "../../static/js/client/sizes.js"

test("batches are cut by count and by bytes, in order, and what belongs together stays together", () => {
  const items = Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: "é".repeat(i * 4) }))
  const ops = ({ key, value }) => [
    { op: "set", key: `to/${key}`, value },
    { op: "delete", key },
  ]
  const limits = { message: 2_000, batch: 16 }
  const made = [...parts(items, ops, limits)]
  assert.deepEqual(made.flat(), items.flatMap(ops))
  for (const part of made) {
    assert.ok(part.length <= 16 && part.length % 2 === 0)
    assert.ok(messageBytes("batch", { ops: part }) <= 2_000)
  }
  assert.ok(made.length > 6 && made.length < 15, `${made.length} batches`)
})

test("what is alone too large stands alone: the write itself says so", () => {
  const made = [
    ...parts(["x", "x".repeat(3_000), "y"], (value) => [{ op: "set", key: "k", value }], {
      message: 1_000,
      batch: 128,
    }),
  ]
  assert.deepEqual(
    made.map((part) => part.length),
    [1, 1, 1],
  )
})

test("the ops of an item are made when their batch is due", () => {
  const asked = []
  const made = parts(
    ["a", "b", "c"],
    (key) => {
      asked.push(key)
      return key === "b" ? [] : [{ op: "delete", key }]
    },
    {
      message: 1_000,
      batch: 1,
    },
  )
  assert.deepEqual(made.next().value, [{ op: "delete", key: "a" }])
  assert.deepEqual(asked, ["a", "b", "c"])
  assert.deepEqual(made.next().value, [{ op: "delete", key: "c" }])
  assert.ok(made.next().done)
})
