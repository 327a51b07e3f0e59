// What a screen reader is told, without flooding it: from each of the two regions at most one message in five seconds, and what
// comes meanwhile is said together. Of what others change, as much as was chosen.

import { whoWrote } from "../shared/origins.js"

const PAUSE = 5_000
const MOST = 3 // sentences in one message, the latest

export class Announcer {
  #polite
  #assertive
  #setting
  #news = new Map() // key → the last fact about it, until it is said

  /** `setting()`: whose changes are told, "open", "all" or "off". `now()` and `later(fn, milliseconds)` are time. */
  constructor(polite, assertive, setting, { now = () => performance.now(), later = (fn, ms) => setTimeout(fn, ms) } = {}) {
    this.#polite = new Region(polite, now, later)
    this.#assertive = new Region(assertive, now, later)
    this.#setting = setting
  }

  say(text) {
    this.#polite.say(() => text)
  }

  alert(text) {
    this.#assertive.say(() => text)
  }

  /** What others have changed, as facts; `open` is the key that is open. */
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

  /** "app/banner was changed by Firefox on Linux.", or "3 keys changed, the latest app/banner." */
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
  #waiting = [] // functions that say it when the time has come

  constructor(element, now, later) {
    this.#element = element
    this.#now = now
    this.#later = later
  }

  say(sentence) {
    this.#waiting.push(sentence)
    if (this.#waiting.length > 1) return
    const wait = this.#spoken + PAUSE - this.#now()
    // A moment's wait brings together what belongs together; and the same sentence twice in a row is news only after a silence.
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
