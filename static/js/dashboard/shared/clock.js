// Times as people read them, one way or the other: how long ago, or when, as they have chosen. The server's clock counts, so
// `now` is this machine's, put right by what it is ahead.

import { setting } from "../../settings.js"

const STEPS = [
  [60, 1, "s"],
  [3_600, 60, "min"],
  [86_400, 3_600, "h"],
  [30 * 86_400, 86_400, "d"],
]

/** "now", "12 s", "4 min", "3 h", "3 d", and then the date; or "09:41:07", "12 Nov, 09:41". */
export function age(at, now) {
  if (setting("times") === "absolute") return stamp(new Date(at), new Date(now))
  const seconds = Math.floor((now - Date.parse(at)) / 1_000)
  if (seconds < 3) return "now"
  for (const [below, unit, name] of STEPS) if (seconds < below) return `${Math.floor(seconds / unit)} ${name}`
  return new Date(at).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" })
}

/** "just now", "12 s ago", or "on 12 Nov 2026"; or "at 09:41:07", "on 12 Nov, 09:41". */
export function ago(at, now) {
  const text = age(at, now)
  if (setting("times") === "absolute") return `${sameDay(new Date(at), new Date(now)) ? "at" : "on"} ${text}`
  if (text === "now") return "just now"
  return now - Date.parse(at) < 30 * 86_400_000 ? `${text} ago` : `on ${text}`
}

/** "12 Nov 2026, 09:14:03". */
export function moment(at) {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })
}

/** "09:41". */
export function timeOfDay(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })
}

function stamp(at, now) {
  if (sameDay(at, now)) return at.toLocaleTimeString("en-GB")
  const date = at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })
  if (at.getFullYear() !== now.getFullYear()) return `${date} ${at.getFullYear()}`
  return `${date}, ${at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`
}

function sameDay(a, b) {
  return a.toDateString() === b.toDateString()
}
