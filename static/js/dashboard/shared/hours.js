// Times of the day, for what is not of the first picture.

import { sameDay, stamp } from "./clock.js"

const hourAndMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })

/** "09:41". */
export function timeOfDay(milliseconds) {
  return hourAndMinute.format(milliseconds)
}

/** "at 09:41", or "on 12 Nov, 09:41" when that was not today. */
export function asOf(milliseconds, now = Date.now()) {
  const then = new Date(milliseconds)
  return sameDay(then, new Date(now)) ? `at ${hourAndMinute.format(then)}` : `on ${stamp(then, new Date(now))}`
}
