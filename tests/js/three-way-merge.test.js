import assert from "node:assert/strict"
import { test } from "node:test"
import { same } from "../../static/js/client/json-values.js"
import { mergeJson } from "../../static/js/dashboard/key/model/three-way-merge.js"
import { randomness } from "./space.js"

test("what each changed is in the whole", () => {
  const base = { on: true, beta: ["ada"], limits: { a: 1, b: 2 } }
  const mine = { on: false, beta: ["ada"], limits: { a: 1, b: 3 } }
  const theirs = { on: true, beta: ["ada", "grace"], limits: { b: 2 }, more: null }
  assert.deepEqual(mergeJson(base, mine, theirs), {
    value: { on: false, beta: ["ada", "grace"], limits: { b: 3 }, more: null },
  })
})

test("the same place changed by both is nothing to guess about", () => {
  assert.equal(mergeJson({ a: 1 }, { a: 2 }, { a: 3 }), null)
  assert.equal(mergeJson(1, 2, 3), null)
  assert.equal(mergeJson("a", "b", "c"), null)
  assert.equal(mergeJson({ a: { b: 1 } }, {}, { a: { b: 2 } }), null, "one deletes what the other changes")
  assert.equal(mergeJson({}, { a: 1 }, { a: 2 }), null)
  assert.equal(mergeJson([1], [1, 2], [3]), null, "the places of an array that grows are no longer the same places")
  assert.equal(mergeJson({ a: [] }, { a: {} }, { a: [1] }), null)
})

test("both did the same", () => {
  assert.deepEqual(mergeJson({ a: 1, b: 1 }, { b: 2 }, { b: 2 }), { value: { b: 2 } })
  assert.deepEqual(mergeJson([1, 2, 3], [1, 5, 3], [0, 5, 3]), { value: [0, 5, 3] })
})

test("names that mean something to JavaScript are names", () => {
  const parse = (text) => JSON.parse(text)
  const { value } = mergeJson(
    parse('{"a": 1}'),
    parse('{"a": 1, "__proto__": {"x": 1}}'),
    parse('{"a": 2, "constructor": 3}'),
  )
  assert.equal(JSON.stringify(value), '{"a":2,"__proto__":{"x":1},"constructor":3}')
})

// A change is a set of [path, value]; two changes are apart when no path of one begins with a path of the other.
const random = randomness(17)

function tree(depth) {
  if (depth === 0 || random.below(4) === 0) return random.below(1_000)
  const size = 1 + random.below(4)
  if (random.below(3) === 0) return Array.from({ length: size }, () => tree(depth - 1))
  return Object.fromEntries(Array.from({ length: size }, (_, i) => ["abcdef"[i], tree(depth - 1)]))
}

function paths(value, at = []) {
  if (typeof value !== "object") return [at]
  return [...(at.length ? [at] : []), ...Object.keys(value).flatMap((name) => paths(value[name], [...at, name]))]
}

function changed(value, edits) {
  const copy = structuredClone(value)
  for (const [path, replacement] of edits) {
    const place = path.slice(0, -1).reduce((object, name) => object[name], copy)
    if (replacement === undefined) delete place[path.at(-1)]
    else place[path.at(-1)] = replacement
  }
  return copy
}

const touch = (a, b) => a.every((name, i) => i >= b.length || name === b[i])

function edit(value) {
  const path = random.pick(paths(value))
  const parent = path.slice(0, -1).reduce((object, name) => object[name], value)
  const deletes = !Array.isArray(parent) && random.below(4) === 0
  return [path, deletes ? undefined : random.pick([`new ${random.below(1_000)}`, random.below(1_000) + 1_000, null])]
}

test("changes apart from each other are both there, whoever is asked first; changes of the same place never merge", () => {
  let apart = 0
  for (let i = 0; i < 4_000; i++) {
    const base = { root: tree(4), other: tree(3) }
    const a = edit(base)
    const b = edit(base)
    const mine = changed(base, [a])
    const theirs = changed(base, [b])
    const merged = mergeJson(base, mine, theirs)
    if (touch(a[0], b[0])) {
      if (!same(mine, theirs)) assert.equal(merged, null)
      continue
    }
    apart += 1
    assert.deepEqual(merged?.value, changed(base, [a, b]))
    assert.ok(same(merged.value, mergeJson(base, theirs, mine).value))
  }
  assert.ok(apart > 1_000)
})

test("nothing changed on one side: the other side is the whole", () => {
  for (let i = 0; i < 300; i++) {
    const [base, other] = [tree(3), tree(3)]
    assert.deepEqual(mergeJson(base, base, other), { value: other })
    assert.deepEqual(mergeJson(base, other, base), { value: other })
  }
})
