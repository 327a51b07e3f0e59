// What a screen reader is told, without flooding it: one polite message in five seconds, the latest counts; what needs
// an answer is said at once.

const PAUSE = 5_000

export class Announcer {
  #polite
  #assertive
  #spoken = -Infinity
  #waiting = null

  constructor(polite, assertive) {
    this.#polite = polite
    this.#assertive = assertive
  }

  say(text) {
    const wait = this.#spoken + PAUSE - performance.now()
    clearTimeout(this.#waiting)
    if (wait > 0) this.#waiting = setTimeout(() => this.#speak(text), wait)
    else this.#speak(text)
  }

  alert(text) {
    this.#assertive.textContent = ""
    // The same sentence twice in a row is news too, and an empty region in between makes it so.
    requestAnimationFrame(() => (this.#assertive.textContent = text))
  }

  #speak(text) {
    this.#spoken = performance.now()
    this.#polite.textContent = text
  }
}
