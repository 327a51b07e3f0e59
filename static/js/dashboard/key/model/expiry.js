// Expiry times as people choose and read them. No DOM.

/** @type {Record<string, number>} */
const UNITS = { seconds: 1, minutes: 60, hours: 3_600, days: 86_400 }
const LONGEST = 100 * 365 * 86_400

export const units = Object.keys(UNITS)

/**
 * Return "in 3 d", "in 2 h 5 min", "in 4 min 12 s", "in 9 s" or "now": exact when the expiry is soon.
 * @param {number} now
 * @param {string} at
 */
export function remaining(at, now) {
  const seconds = Math.ceil((Date.parse(at) - now) / 1_000)
  if (seconds <= 0) return "now"
  if (seconds < 60) return `in ${seconds} s`
  if (seconds < 3_600) return `in ${Math.floor(seconds / 60)} min ${seconds % 60} s`
  if (seconds < 86_400) return `in ${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`
  if (seconds < 3 * 86_400) return `in ${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`
  return `in ${Math.floor(seconds / 86_400).toLocaleString("en")} d`
}

/**
 * Return the `expires` of a draft for a choice: null keeps it, {ttl} in seconds or null, {at} in milliseconds,
 * {problem}.
 * @param {{ choice: string, amount: string, unit: string, at: string }} chosen
 * @param {number} now
 */
export function chosenExpiry({ choice, amount, unit, at }, now) {
  if (choice === "keep") return null
  if (choice === "never") return { ttl: null }
  return choice === "in" ? after(amount, unit) : atTime(at, now)
}

/** @param {string} amount @param {string} unit */
function after(amount, unit) {
  const ttl = Number(amount) * UNITS[unit]
  if (!(ttl > 0)) return { problem: "Say after how long, as a number above 0." }
  return ttl > LONGEST ? { problem: "At most 100 years from now." } : { ttl }
}

/** @param {string} text @param {number} now */
function atTime(text, now) {
  const at = new Date(text).getTime()
  if (Number.isNaN(at)) return { problem: "Choose a date and a time." }
  if (at <= now) return { problem: "This is in the past." }
  return at - now > LONGEST * 1_000 ? { problem: "At most 100 years from now." } : { at }
}

/**
 * Return the time in an hour for a `datetime-local` field: in the local time valid then, to the minute.
 * @param {number} now
 */
export function inAnHour(now) {
  const then = now + 3_600_000
  return new Date(then - new Date(then).getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
