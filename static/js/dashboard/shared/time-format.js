// Formats times, relative or absolute, as the user has set. `now` is the server's time: the local clock, corrected by
// its offset to the server's.

import { setting } from "../../lib/settings.js"

/** @type {[number, number, string][]} */
const STEPS = [
  [60, 1, "s"],
  [3_600, 60, "min"],
  [86_400, 3_600, "h"],
  [30 * 86_400, 86_400, "d"],
]

const shortDate = formatter(undefined, { day: "numeric", month: "short", year: "numeric" })
const dateAndTime = formatter(undefined, { dateStyle: "medium", timeStyle: "medium" })
const plainTime = formatter("en-GB", { timeStyle: "medium" })
const plainHour = formatter("en-GB", { hour: "2-digit", minute: "2-digit" })
const plainDay = formatter("en-GB", { day: "numeric", month: "short" })

/**
 * Return a date formatter that is created on first use and reused: creating one is expensive, and a frame formats a
 * hundred dates.
 * @param {string | undefined} locale
 * @param {Intl.DateTimeFormatOptions} options
 * @returns {(at: Date | number) => string}
 */
function formatter(locale, options) {
  /** @type {Intl.DateTimeFormat | undefined} */
  let made
  return (at) => {
    made ??= new Intl.DateTimeFormat(locale, options)
    return made.format(at)
  }
}

/**
 * Return "now", "12 s", "4 min", "3 h", "3 d", then the date; with absolute times "09:41:07" or "12 Nov, 09:41".
 * @param {number} now
 * @param {string} at
 */
export function age(at, now) {
  if (setting("times") === "absolute") return stamp(new Date(at), new Date(now))
  const seconds = Math.floor((now - Date.parse(at)) / 1_000)
  if (seconds < 3) return "now"
  for (const [below, unit, name] of STEPS) if (seconds < below) return `${Math.floor(seconds / unit)} ${name}`
  return shortDate(new Date(at))
}

/**
 * Return "just now", "12 s ago" or "on 12 Nov 2026"; with absolute times "at 09:41:07" or "on 12 Nov, 09:41".
 * @param {number} now
 * @param {string} at
 */
export function ago(at, now) {
  const text = age(at, now)
  if (setting("times") === "absolute") return `${sameDay(new Date(at), new Date(now)) ? "at" : "on"} ${text}`
  if (text === "now") return "just now"
  return now - Date.parse(at) < 30 * 86_400_000 ? `${text} ago` : `on ${text}`
}

/**
 * Return "12 Nov 2026, 09:14:03".
 * @param {string} at
 */
export function moment(at) {
  return dateAndTime(new Date(at))
}

/**
 * Return "09:41:07", or "12 Nov, 09:41".
 * @param {Date} at
 * @param {Date} now
 */
export function stamp(at, now) {
  if (sameDay(at, now)) return plainTime(at)
  const date = plainDay(at)
  if (at.getFullYear() !== now.getFullYear()) return `${date} ${at.getFullYear()}`
  return `${date}, ${plainHour(at)}`
}

/** @param {Date} a @param {Date} b */
export function sameDay(a, b) {
  return a.toDateString() === b.toDateString()
}
