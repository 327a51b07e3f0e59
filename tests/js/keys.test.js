import assert from "node:assert/strict"
import { test } from "node:test"

import { compareKeys, place, problemWithKey, sortKeys } from "../../static/js/client/keys.js"
import { randomness } from "./space.js"

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))

test("keys stand in the order of their UTF-8 bytes", () => {
  assert.ok("😀" < "～", "JavaScript's own order is another one")
  assert.ok(compareKeys("😀", "～") > 0)
  const random = randomness(7)
  const letters = ["a", "b", "/", "é", "\u0800", "\ud7ff", "\ue000", "\uffff", "😀", "\u{10ffff}"]
  const keys = Array.from({ length: 500 }, () =>
    Array.from({ length: random.below(5) }, () => random.pick(letters)).join(""),
  )
  assert.deepEqual(sortKeys([...keys]), [...keys].sort(byBytes))
  for (let i = 1; i < keys.length; i++)
    assert.equal(Math.sign(compareKeys(keys[i - 1], keys[i])), Math.sign(byBytes(keys[i - 1], keys[i])))
  assert.deepEqual(sortKeys(["b", "B", "a"]), ["B", "a", "b"])
})

test("a key is found where it stands, and a new one where it belongs", () => {
  const keys = sortKeys(["a", "c", "～", "😀"])
  assert.deepEqual(place(keys, "c"), { at: 1, found: true })
  assert.deepEqual(place(keys, "b"), { at: 1, found: false })
  assert.deepEqual(place(keys, "😀"), { at: 3, found: true })
  assert.deepEqual(place(keys, "😁"), { at: 4, found: false })
  assert.deepEqual(place([], "a"), { at: 0, found: false })
})

test("only what the protocol refuses is refused", () => {
  for (const key of ["a", " ", "a//b", ".", "..", "__proto__", "😀", "x".repeat(512), "é".repeat(256), "\u0080"])
    assert.equal(problemWithKey(key), null, JSON.stringify(key))
  for (const key of ["", "a\nb", "\u0000", "\u007f", "\ud83d", "x".repeat(513), "é".repeat(257), 7, undefined])
    assert.match(problemWithKey(key), /^A key /, JSON.stringify(key))
})
