import assert from "node:assert/strict"
import { test } from "node:test"

import { copyOf, frozen, InvalidValue, same } from "../../static/js/client/json-values.js"

test("JSON goes through as a copy of its own", () => {
  const value = JSON.parse(
    '{"__proto__": {"x": 1}, "a": [1, 2.5, -0.1, 9007199254740991, 5e-324, true, false, null, "é😀"], "": {}}',
  )
  const copy = copyOf(value)
  assert.deepEqual(copy, value)
  assert.ok(Object.hasOwn(copy, "__proto__"))
  value.a[0] = 2
  assert.equal(copy.a[0], 1)
  assert.deepEqual(copyOf(Object.assign(Object.create(null), { a: 1 })), { a: 1 })
})

test("what JSON would change on the way is refused", () => {
  const loop = []
  loop.push(loop)
  const refused = [
    undefined,
    NaN,
    Infinity,
    -Infinity,
    2 ** 53,
    -(2 ** 53),
    1.7e18,
    1e20,
    1e21,
    1e300,
    10n,
    () => 1,
    Symbol("a"),
    new Date(),
    new Map(),
    /x/,
  ]
  for (const value of [...refused, "\ud83d", { "\ude00": 1 }, loop, { toJSON: () => 1 }]) {
    assert.throws(() => copyOf(value), InvalidValue)
    assert.throws(() => copyOf({ inside: [value] }), InvalidValue)
  }
  assert.throws(() => copyOf({ a: [1, undefined] }), /the value\.a\[1\] is not JSON/)
  assert.throws(() => copyOf(Object.assign(Array(2), { 1: 1 })), InvalidValue)
})

test("64 levels are taken, 65 are not", () => {
  const nested = (levels) => JSON.parse("[".repeat(levels) + "]".repeat(levels))
  copyOf(nested(64))
  assert.throws(() => copyOf(nested(65)), /64 deep/)
})

test("values are the same when they are the same JSON", () => {
  assert.ok(same({ a: 1, b: [null, { c: "x" }] }, { b: [null, { c: "x" }], a: 1 }))
  assert.ok(same(JSON.parse('{"__proto__": 1}'), JSON.parse('{"__proto__": 1}')))
  for (const [a, b] of [
    [{}, []],
    [null, {}],
    [1, "1"],
    [[1], [1, 2]],
    [{ a: 1 }, { b: 1 }],
    [JSON.parse('{"__proto__": 1}'), { a: 1 }],
  ])
    assert.ok(!same(a, b))
})

test("a frozen value is frozen all the way down", () => {
  const value = frozen({ a: [{ b: 1 }] })
  assert.throws(() => (value.a[0].b = 2), TypeError)
  assert.equal(frozen(null), null)
})
