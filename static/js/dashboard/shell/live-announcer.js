// Announcements for screen readers, throttled: each of the two live regions says at most one message in five seconds,
// and messages that arrive meanwhile are combined. Changes by others are announced as the user has set.

import { whoWrote } from "../shared/texts.js"

/** @import { KeyChange } from "../../client/key-change.js" */

const PAUSE = 5_000
const MOST = 3 // sentences in one message, the latest

export class Announcer {
  #polite
  #assertive
  #setting
  #news = new Map() // key → the last fact about it, until it is announced

  /**
   * `setting()` returns whose changes are announced: "open", "all" or "off". `now()` and `later(fn, milliseconds)` are
   * the clock.
   */
  constructor(
    polite,
    assertive,
    setting,
    { now = () => performance.now(), later = (fn, ms) => setTimeout(fn, ms) } = {},
  ) {
    this.#polite = new Region(polite, now, later)
    this.#assertive = new Region(assertive, now, later)
    this.#setting = setting
  }

  /** @param {string} text */
  say(text) {
    this.#polite.say(() => text)
  }

  /** @param {string} text */
  alert(text) {
    this.#assertive.say(() => text)
  }

  /**
   * Announce changes by others, given as facts; `open` is the open key.
   * @param {KeyChange[]} facts
   */
  changed(facts, open) {
    const chosen = this.#setting()
    const told = chosen === "all" ? facts : facts.filter(({ key }) => chosen === "open" && key === open)
    if (told.length === 0) return
    const waiting = this.#news.size > 0
    for (const fact of told) {
      this.#news.delete(fact.key)
      this.#news.set(fact.key, fact)
    }
    if (!waiting) this.#polite.say(() => this.#digest())
  }

  /** Return "app/banner was changed: Firefox on Linux.", or "3 keys changed, the latest app/banner." */
  #digest() {
    const { size } = this.#news
    const { key, entry, origin } = [...this.#news.values()].at(-1)
    this.#news.clear()
    if (size > 1) return `${size} keys changed, the latest ${key}.`
    return `${key} was ${entry ? "changed" : "deleted"}: ${whoWrote(origin)}.`
  }
}

class Region {
  #element
  #now
  #later
  #spoken = -Infinity
  #waiting = [] // functions that return the sentence when it is time to say it

  constructor(element, now, later) {
    this.#element = element
    this.#now = now
    this.#later = later
  }

  say(sentence) {
    this.#waiting.push(sentence)
    if (this.#waiting.length > 1) return
    const wait = this.#spoken + PAUSE - this.#now()
    // A short delay combines related messages. The region is emptied, so that a repeated sentence is news only after
    // a silence.
    this.#element.textContent = ""
    this.#later(() => this.#speak(), Math.max(wait, 50))
  }

  #speak() {
    const sentences = new Set(this.#waiting.map((sentence) => sentence()))
    this.#waiting = []
    this.#spoken = this.#now()
    this.#element.textContent = [...sentences].slice(-MOST).join(" ")
  }
}
