import assert from "node:assert/strict"
import { test } from "node:test"

import { formatJson, readJson, sizeOf } from "../../static/js/dashboard/shared/json-text.js"
import { kindOf, previewOf } from "../../static/js/dashboard/shared/texts.js"
import { randomness } from "./space.js"

const problem = (text) => {
  const { problem } = readJson(text)
  return problem && `${problem.line}:${problem.column} ${problem.message}`
}

test("whatever is JSON is read as JSON.parse reads it", () => {
  for (const text of [
    '{"a": [1, -2.5e-3, true, false, null, "\\u00e9\\n"]}',
    " 0 ",
    '""',
    "[]",
    "{}",
    "[[[]]]",
    '{"a":1,"a":2}',
    "\t[1,\r\n2]",
    "1e15",
    "-0",
    "0e-400",
    "0.0",
    '"\\ud83d\\ude00"',
  ])
    assert.deepEqual(readJson(text), { value: JSON.parse(text) })
})

test("a problem is named with its line and column", () => {
  assert.equal(problem('{\n  "a": 1\n  "b": 2\n}'), "3:3 expected ',' or '}'")
  assert.equal(problem('{"a" 1}'), "1:6 expected ':' after the name")
  assert.equal(problem("{a: 1}"), "1:2 expected a name in double quotes")
  assert.equal(problem("[1, 2,]"), "1:7 expected another item after ',', not ']'")
  assert.equal(problem('["é😀", x]'), "1:8 'x' is not JSON; text goes in quotes")
  assert.equal(problem(""), "1:1 expected a value; text goes in quotes")
  assert.equal(problem("hello world"), "1:1 'hello' is not JSON; text goes in quotes")
  assert.equal(problem("01"), "1:1 '01' is not a number")
  assert.equal(problem("1 2"), "1:3 expected nothing after the value")
  assert.equal(problem('["abc]'), "1:2 this text has no closing quote")
  assert.equal(problem('"a\nb"'), "1:3 a line break or tab inside text is written \\n or \\t")
  assert.equal(problem('"a\\x"'), "1:3 unknown escape; a backslash is written \\\\")
  assert.equal(problem("["), "1:2 expected a value here")
  assert.match(problem("NaN"), /not JSON/)
})

test("what would not come back as it was typed is refused", () => {
  for (const text of [
    "9007199254740992",
    "-9007199254740993",
    "9007199254740992.0",
    "1.7e18",
    "1e20",
    "1e21",
    "1e300",
    "12345678901234567890123",
    "1e400",
    "1e-400",
    "-0.01E-400",
    '"\\ud800"',
    "[".repeat(65) + "]".repeat(65),
  ])
    assert.ok(problem(text), text)
  for (const text of ["9007199254740991", "9.007199254740991e15", "5e-324", "0.1", "[".repeat(64) + "]".repeat(64)])
    assert.equal(problem(text), undefined)
})

test("it takes exactly what JSON.parse takes, whatever is broken in the text", () => {
  const random = randomness(11)
  const whole = '{"a": [1, -2.5e3, true, null, "x\\n"], "b": {"c": ""}}'
  for (let i = 0; i < 20_000; i++) {
    let text = whole
    for (let n = 1 + random.below(3); n > 0; n--) {
      const at = random.below(text.length)
      text =
        text.slice(0, at) +
        random.pick(["", ",", "]", "{", '"', "\\", "0", "e", ":", " ", "tru"]) +
        text.slice(at + random.below(3))
    }
    let parsed
    try {
      parsed = { value: JSON.parse(text) }
    } catch {
      parsed = null
    }
    const read = readJson(text)
    // A number may have become too large to be represented exactly.
    if (/\d[eE]\+?\d\d/.test(text)) continue
    if (parsed) assert.deepEqual(read, parsed, text)
    else assert.ok(read.problem, text)
  }
})

test("a value is described", () => {
  assert.deepEqual([{}, [], "", 0, true, null].map(kindOf), [
    "object",
    "array",
    "text",
    "number",
    "true or false",
    "null",
  ])
  assert.equal(sizeOf({ a: "é" }), 10)
  assert.equal(formatJson({ a: 1 }), '{\n  "a": 1\n}')
  assert.equal(previewOf("x".repeat(1000)).length, 122)
  assert.equal(previewOf({ a: "x".repeat(1000) }).length, 120)
})
