// The loaded part of a history: writes, newest first, without gaps. Older ones are requested when the user asks for
// them, newer ones when they are known to exist. No DOM.

const CATCH_UP = 2 // pages; a list further behind starts over
const MOST = 2_000 // when new writes arrive, older ones beyond this number are dropped

/**
 * @import { Refusal } from "../../client/outbox.js"
 * @import { WriteFrame } from "../../client/replica.js"
 */

export class WritePages {
  /** @type {WriteFrame[]} */
  list = []
  floor = 1 // the history is complete from this revision on
  ended = false // there are no older writes
  loaded = false // whether the first page is loaded
  /** @type {"older" | "newer" | null} */
  asking = null // the pending request: "older" or "newer"
  /** @type {Refusal | null} */
  refusal = null // the error of the last request

  #ask
  #changed
  #page
  #round = 0

  /**
   * `ask({before, limit})` returns {writes, floor}, like the verb `history`; `changed()` is called after every change.
   */
  constructor(ask, changed, page = 50) {
    this.#ask = ask
    this.#changed = changed
    this.#page = page
  }

  get newest() {
    return this.list[0]?.revision ?? 0
  }
  get oldest() {
    return this.list.at(-1)?.revision ?? null
  }

  /** Forget all writes: they belong to another data set. */
  reset() {
    this.#round += 1
    this.list = []
    this.ended = this.loaded = false
    this.asking = this.refusal = null
  }

  /** Load the next page. */
  older() {
    if (this.ended) return undefined
    return this.#asks("older", async (ask) => {
      const page = await ask(this.oldest, this.#page)
      // A page ends early if values are long. One more request tells whether it was the last.
      const more =
        page.length > 0 && page.length < this.#page && page.at(-1).revision > 1
          ? await ask(page.at(-1).revision, 1)
          : []
      return () => {
        this.list = [...this.list, ...page, ...more]
        this.ended = page.length < this.#page && more.length === 0
        this.loaded = true
      }
    })
  }

  /** Load newer writes. */
  newer() {
    if (!this.loaded) return this.older()
    return this.#asks("newer", async (ask) => {
      const { newest } = this
      const found = []
      let joined = false
      for (let pages = 0; !joined && pages < CATCH_UP; pages++) {
        const page = await ask(found.at(-1)?.revision ?? null, this.#page)
        found.push(...page.filter(({ revision }) => revision > newest))
        joined = page.length === 0 || page.at(-1).revision <= newest
      }
      return () => {
        const list = joined ? [...found, ...this.list] : found
        if (!joined || (found.length > 0 && list.length > MOST)) this.ended = false
        this.list = found.length > 0 ? list.slice(0, MOST) : list
      }
    })
  }

  /**
   * Request the write of one revision and the one before it, loaded or not; `found` receives the writes that exist.
   * @param {number} revision
   */
  async peek(revision, found) {
    const round = this.#round
    const { writes } = await this.#ask({ before: revision + 1, limit: 2 }).catch(() => ({ writes: [] }))
    if (round !== this.#round) return
    found(writes)
    this.#changed()
  }

  async #asks(what, work) {
    if (this.asking) return
    const round = this.#round
    this.asking = what
    const ask = async (before, limit) => {
      const { writes, floor } = await this.#ask(before === null ? { limit } : { before, limit })
      if (round === this.#round) this.floor = floor
      return writes
    }
    let outcome
    try {
      const apply = await work(ask)
      outcome = () => {
        apply()
        this.refusal = null
      }
    } catch (refusal) {
      outcome = () => (this.refusal = refusal)
    }
    if (round !== this.#round) return
    this.asking = null
    outcome()
    this.#changed()
  }
}
