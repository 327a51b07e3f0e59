// Liveness checks: decides when to test a connection, and when a hidden tab closes its own. Browsers do not report a
// dead connection (after sleep, in another network, behind a proxy that has dropped it), and TCP detects it after
// minutes. Uses the document's events only.
//
// A test is due when
// 1. the tab is shown or focused, or the network is reported lost or back: `visibilitychange`, `focus`, `pageshow`,
//    `resume`, `offline`, `online`;
// 2. a timer fires much too late: the machine or the page has slept;
// 3. a write has waited for its answer for some seconds;
// 4. no message has arrived for longer than the server is ever silent.

/**
 * @typedef {{
 *   test(changed?: boolean): unknown, unansweredFor(): number, silentFor(): number, mayRest(): boolean, rest(): void
 * }} Watched
 */
/** @typedef {EventTarget & { visibilityState: string }} Page */

const TICK = 2_000
const SLEPT = 10_000 // no timer of a visible tab is this late
const SLEPT_HIDDEN = 75_000 // browsers run the timers of hidden tabs once a minute
const ANSWER_EXPECTED = 3_000
const SILENCE = 30_000 // the server sends something every 20 seconds
const REST_AFTER = 5_000

export class Liveness {
  #connection
  #document
  #now
  #last
  /** @type {number | null} */
  #hiddenSince = null
  /** @type {any} */
  #timer
  #closing = new AbortController()

  /**
   * `connection`: {test(changed), unansweredFor(), silentFor(), mayRest(), rest()}. `page` and `document` send the
   * events, if they exist; `now()` is a clock that continues while the machine sleeps.
   * @param {Watched} connection
   * @param {{ page?: Partial<EventTarget>, document?: Page, now?: () => number }} parts
   */
  constructor(connection, { page = globalThis, document = globalThis.document, now = Date.now } = {}) {
    this.#connection = connection
    this.#document = document
    this.#now = now
    this.#last = now()
    const { signal } = this.#closing
    const test = () => connection.test()
    page.addEventListener?.("online", () => connection.test(true), { signal })
    for (const name of ["offline", "focus", "pageshow"]) page.addEventListener?.(name, test, { signal })
    document?.addEventListener("resume", test, { signal })
    document?.addEventListener("visibilitychange", () => this.#visibilityChanged(), { signal })
    this.#visibilityChanged()
    this.#timer = setInterval(() => this.tick(), TICK)
    this.#timer.unref?.() // the timer does not keep Node.js running
  }

  close() {
    clearInterval(this.#timer)
    this.#closing.abort()
  }

  tick() {
    const now = this.#now()
    const late = now - this.#last
    this.#last = now
    const since = this.#hiddenSince
    const hidden = since !== null
    const connection = this.#connection
    if (late > (hidden ? SLEPT_HIDDEN : SLEPT)) connection.test(true)
    else if (connection.unansweredFor() > ANSWER_EXPECTED) connection.test()
    else if (!hidden && connection.silentFor() > SILENCE) connection.test()
    if (hidden && now - since > REST_AFTER && connection.mayRest()) connection.rest()
  }

  #visibilityChanged() {
    if (this.#document?.visibilityState === "hidden") this.#hiddenSince ??= this.#now()
    else {
      const shown = this.#hiddenSince !== null
      this.#hiddenSince = null
      if (shown) this.#connection.test()
    }
  }
}
