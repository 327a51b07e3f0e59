import assert from "node:assert/strict"
import { test } from "node:test"

import { age, ago } from "../../static/js/dashboard/shared/time-format.js"

const at = "2026-11-22T10:00:00.000Z"
const later = (seconds) => Date.parse(at) + seconds * 1_000

test("times are told as people tell them", () => {
  const told = [0, 2, 3, 59, 60, 3_599, 3_600, 86_399, 86_400, 29 * 86_400].map((seconds) => age(at, later(seconds)))
  assert.deepEqual(told, ["now", "now", "3 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "29 d"])
  assert.equal(age(at, later(-5)), "now")
  assert.equal(ago(at, later(1)), "just now")
  assert.equal(ago(at, later(120)), "2 min ago")
  assert.match(ago(at, later(40 * 86_400)), /^on .*2026/)
})
