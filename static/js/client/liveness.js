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

const TICK = 2_000
const SLEPT = 10_000 // no timer of a visible tab is this late
const SLEPT_HIDDEN = 75_000 // browsers run the timers of hidden tabs once a minute
const ANSWER_EXPECTED = 3_000
const SILENCE = 30_000 // the server sends something every 20 seconds
const REST_AFTER = 5_000

export class Liveness {
  #connection
  #page
  #document
  #now
  #last
  #hiddenSince = null
  #timer

  /**
   * `connection`: {test(changed), unansweredFor(), silentFor(), mayRest(), rest()}. `page` and `document` send the
   * events, if they exist; `now()` is a clock that continues while the machine sleeps.
   */
  constructor(connection, { page = globalThis, document = globalThis.document, now = Date.now } = {}) {
    this.#connection = connection
    this.#page = page
    this.#document = document
    this.#now = now
    this.#last = now()
    page.addEventListener?.("online", this.#changed)
    page.addEventListener?.("offline", this.#test)
    page.addEventListener?.("focus", this.#test)
    page.addEventListener?.("pageshow", this.#test)
    document?.addEventListener("resume", this.#test)
    document?.addEventListener("visibilitychange", this.#visibilityChanged)
    this.#visibilityChanged()
    this.#timer = setInterval(() => this.tick(), TICK)
    this.#timer.unref?.() // the timer does not keep Node.js running
  }

  close() {
    clearInterval(this.#timer)
    this.#page.removeEventListener?.("online", this.#changed)
    this.#page.removeEventListener?.("offline", this.#test)
    this.#page.removeEventListener?.("focus", this.#test)
    this.#page.removeEventListener?.("pageshow", this.#test)
    this.#document?.removeEventListener("resume", this.#test)
    this.#document?.removeEventListener("visibilitychange", this.#visibilityChanged)
  }

  tick() {
    const now = this.#now()
    const late = now - this.#last
    this.#last = now
    const hidden = this.#hiddenSince !== null
    const connection = this.#connection
    if (late > (hidden ? SLEPT_HIDDEN : SLEPT)) connection.test(true)
    else if (connection.unansweredFor() > ANSWER_EXPECTED) connection.test()
    else if (!hidden && connection.silentFor() > SILENCE) connection.test()
    if (hidden && now - this.#hiddenSince > REST_AFTER && connection.mayRest()) connection.rest()
  }

  #test = () => this.#connection.test()

  #changed = () => this.#connection.test(true)

  #visibilityChanged = () => {
    if (this.#document?.visibilityState === "hidden") this.#hiddenSince ??= this.#now()
    else {
      const shown = this.#hiddenSince !== null
      this.#hiddenSince = null
      if (shown) this.#connection.test()
    }
  }
}
