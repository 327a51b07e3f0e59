import assert from "node:assert/strict"
import { test } from "node:test"

import { chosenExpiry, inAnHour, remaining } from "../../static/js/dashboard/key/model/expiry.js"

const NOW = Date.parse("2026-11-23T10:00:00.000Z")
const inSeconds = (seconds) => remaining(new Date(NOW + seconds * 1_000).toISOString(), NOW)

test("what is left is told the more exactly the less it is", () => {
  assert.deepEqual([-5, 0, 9, 59.2, 60, 252, 3_600, 7_500, 86_400, 100_000, 30 * 86_400].map(inSeconds), [
    "now",
    "now",
    "in 9 s",
    "in 1 min 0 s",
    "in 1 min 0 s",
    "in 4 min 12 s",
    "in 1 h 0 min",
    "in 2 h 5 min",
    "in 1 d 0 h",
    "in 1 d 3 h",
    "in 30 d",
  ])
})

test("what is chosen is what a save sends", () => {
  const chosen = (fields) => chosenExpiry({ choice: "in", amount: "1", unit: "hours", at: "", ...fields }, NOW)
  assert.equal(chosen({ choice: "keep" }), null)
  assert.deepEqual(chosen({ choice: "never" }), { ttl: null })
  assert.deepEqual(chosen({ amount: "1.5" }), { ttl: 5_400 })
  assert.deepEqual(chosen({ amount: "2", unit: "days" }), { ttl: 172_800 })
  assert.deepEqual(chosen({ choice: "at", at: "2026-11-23T10:00:30.000Z" }), { at: NOW + 30_000 })
})

test("what makes no sense is a problem, with what to do about it", () => {
  for (const fields of [
    { amount: "" },
    { amount: "0" },
    { amount: "-1" },
    { amount: "x" },
    { amount: "101", unit: "days", huge: true },
    { choice: "at", at: "" },
    { choice: "at", at: "2026-11-23T09:00:00.000Z" },
    { choice: "at", at: "2227-01-01T00:00:00.000Z" },
  ]) {
    const { problem } = chosenExpiry(
      { choice: "in", unit: "hours", at: "", ...fields, ...(fields.huge ? { amount: "36501" } : {}) },
      NOW,
    )
    assert.match(problem, /\.$/, JSON.stringify(fields))
  }
})

test("in an hour is an hour away, also when the clocks change", () => {
  const before = process.env.TZ
  process.env.TZ = "America/New_York"
  try {
    for (const now of [
      "2026-03-08T05:30Z",
      "2026-03-08T06:30Z",
      "2026-03-08T07:30Z",
      "2026-11-01T04:30Z",
      "2026-11-01T08:30Z",
      "2026-06-01T12:00Z",
    ])
      assert.equal(new Date(inAnHour(Date.parse(now))).getTime() - Date.parse(now), 3_600_000, now)
  } finally {
    if (before === undefined) delete process.env.TZ
    else process.env.TZ = before
  }
})
