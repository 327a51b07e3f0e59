import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { test } from "node:test"

import { LANGUAGES, snippets, TASKS } from "../../static/js/dashboard/snippets/snippets.js"

const origin = "https://kv.example.org"
const HOSTILE = [
  "a",
  "it's",
  'say "hi"',
  "100%",
  "$HOME `id` $(id)",
  "!!",
  "a\\b",
  "😀 é",
  "a&b=c#d?e+f",
  "__proto__",
  "*",
  "{x}",
  "${x}",
  "\u2028",
  "'''",
  '"""',
]

test("there is a snippet in every language for every task", () => {
  const all = snippets({ origin, key: "a", value: 1 })
  assert.deepEqual(Object.keys(all), Object.keys(LANGUAGES))
  for (const language of Object.values(all)) assert.deepEqual(Object.keys(language), Object.keys(TASKS))
})

test("a shell hands curl the very key, whatever is in it", () => {
  for (const key of HOSTILE) {
    const { get, set, watch } = snippets({ origin, key, value: key }).curl
    assert.equal(new URL(words(get).at(-1)).searchParams.get("key"), key)
    assert.equal(new URL(words(watch).at(-1)).searchParams.get("prefix"), key)
    const asked = words(set)
    assert.deepEqual(JSON.parse(asked[asked.indexOf("-d") + 1]), { key, value: key })
  }
})

test("a JavaScript snippet says the very key and value", () => {
  for (const key of HOSTILE) {
    const value = JSON.parse(`{"__proto__": [null, true, 1.5, ${JSON.stringify(key)}], "a": {}}`)
    const { get, set } = snippets({ origin, key, value }).javascript
    const seen = []
    const kv = { get: (asked) => seen.push(asked), set: (...asked) => seen.push(...asked) }
    for (const code of [get, set])
      new Function("kv", "console", code.replace(/^import.*\n\nconst.*\n/, "").replace("await ", ""))(kv, { log() {} })
    assert.deepEqual(
      seen.map((what) => JSON.stringify(what)),
      [key, key, value].map((what) => JSON.stringify(what)),
    )
  }
})

test("a key that ends in a star is watched alone", () => {
  const seen = []
  const code = snippets({ origin, key: "a*" }).javascript.watch.replace(/^import.*\n\nconst.*\n/, "")
  const kv = {
    on: (_, fn) =>
      [
        { key: "a*", value: 1 },
        { key: "ab", value: 2 },
      ].forEach(fn),
  }
  new Function("kv", "console", code)(kv, { log: (value) => seen.push(value) })
  assert.deepEqual(seen, [1])
})

test("a long value, and one that is not there, give way to an example", () => {
  for (const value of [undefined, "x".repeat(300)])
    assert.match(snippets({ origin, key: "a", value }).curl.set, /a new value/)
  assert.match(snippets({ origin, key: "a", value: null }).python.set, /value = None/)
})

/** Return the words into which a shell splits a command. */
function words(command) {
  const said = execFileSync("bash", ["-c", `curl() { printf '%s\\0' "$@"; }; TOKEN=t; ${command}`], {
    encoding: "utf8",
  })
  return said.split("\0").slice(0, -1)
}
