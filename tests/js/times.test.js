import assert from "node:assert/strict"
import { test } from "node:test"

globalThis.localStorage = { getItem: (name) => (name === "times" ? "absolute" : null) }
const { age, ago } = await import("../../static/js/dashboard/shared/time-format.js")

test("times are told by the clock to those who have chosen so", () => {
  const now = new Date(2026, 10, 22, 12, 0, 0).getTime()
  const then = (...parts) => new Date(...parts).toISOString()
  assert.equal(age(then(2026, 10, 22, 9, 41, 7), now), "09:41:07")
  assert.equal(ago(then(2026, 10, 22, 9, 41, 7), now), "at 09:41:07")
  assert.equal(age(then(2026, 10, 12, 9, 41), now), "12 Nov, 09:41")
  assert.equal(ago(then(2025, 10, 12, 9, 41), now), "on 12 Nov 2025")
})
