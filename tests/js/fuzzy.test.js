import assert from "node:assert/strict"
import { test } from "node:test"

import { places, score, search } from "../../static/js/dashboard/commands/fuzzy.js"

const found = (needle, texts) => search(needle, texts).best.map(([, i]) => texts[i])

test("all letters, in their order, or nothing", () => {
  assert.ok(score("aff", "app/feature-flags") > 0)
  assert.equal(score("ffa!", "app/feature-flags"), -1)
  assert.equal(score("ba", "ab"), -1)
})

test("the letters together are better than apart, a word's beginning better than its middle, a name better than its folder", () => {
  assert.deepEqual(found("flag", ["f/l/a/g", "unflagged", "app/flags"]), ["app/flags", "unflagged", "f/l/a/g"])
  assert.deepEqual(found("app", ["app/banner", "web/app"]), ["web/app", "app/banner"])
  assert.deepEqual(found("rl", ["world", "app/rate-limit"]), ["world", "app/rate-limit"])
  assert.deepEqual(found("rli", ["barley-in", "app/rate-limit"]), ["app/rate-limit", "barley-in"])
})

test("no more than asked for, the best of all", () => {
  const texts = Array.from({ length: 1_000 }, (_, i) => `k/${String(i).padStart(4, "0")}x`)
  texts[777] = "x"
  const { best, matching } = search("x", texts, { most: 3 })
  assert.equal(best.length, 3)
  assert.equal(best[0][1], 777)
  assert.equal(matching.length, 1_000)
})

test("a longer needle finds among what the shorter one left just what it finds in all", () => {
  let seed = 7
  const next = (n) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % n
  }
  const texts = Array.from({ length: 400 }, () => Array.from({ length: 3 + next(9) }, () => "abc/-"[next(5)]).join(""))
  for (let round = 0; round < 50; round++) {
    const needle = Array.from({ length: 2 + next(3) }, () => "abc"[next(3)]).join("")
    const narrower = search(needle.slice(0, -1), texts).matching
    assert.deepEqual(search(needle, texts, { among: narrower }), search(needle, texts))
  }
})

test("the letters found are where they are said to be", () => {
  assert.deepEqual(places("ag", "flag"), [2, 3])
  assert.deepEqual(places("ff", "a/f-f"), [2, 4])
  for (const [needle, text] of [
    ["afl", "app/feature-flags"],
    ["-", "a-b"],
  ])
    assert.equal(
      places(needle, text)
        .map((at) => text[at])
        .join(""),
      needle,
    )
})
