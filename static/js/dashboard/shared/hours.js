// Times of day, for views outside the first draw.

import { sameDay, stamp } from "./time-format.js"

const hourAndMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })

/**
 * Return "09:41".
 * @param {number} milliseconds
 */
export function timeOfDay(milliseconds) {
  return hourAndMinute.format(milliseconds)
}

/**
 * Return "at 09:41", or "on 12 Nov, 09:41" for another day than today.
 * @param {number} milliseconds
 */
export function asOf(milliseconds, now = Date.now()) {
  const then = new Date(milliseconds)
  return sameDay(then, new Date(now)) ? `at ${hourAndMinute.format(then)}` : `on ${stamp(then, new Date(now))}`
}
