// The writes of a history, as far as they have been looked at: newest first, without gaps. Older ones are asked for when somebody
// wants them, newer ones when they are known to be there. No DOM.

const CATCH_UP = 2 // pages; who is further behind begins anew
const MOST = 2_000 // while new ones come in, what is older than so many is let go

export class Writes {
  list = []
  floor = 1 // the history is complete from this revision on
  ended = false // there is nothing older
  loaded = false // whether anything is known yet
  asking = null // "older" or "newer"
  refusal = null // why the last question came to nothing

  #ask
  #changed
  #page
  #round = 0

  /** `ask({before, limit})` answers {writes, floor}, as the verb `history` does; `changed()` hears of every difference. */
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

  /** Forgets everything: it was of another data set. */
  reset() {
    this.#round += 1
    this.list = []
    this.ended = this.loaded = false
    this.asking = this.refusal = null
  }

  /** The next page. */
  older() {
    if (this.ended) return undefined
    return this.#asks("older", async (ask) => {
      const page = await ask(this.oldest, this.#page)
      // A page ends early where values are long. One more question tells whether it was the last.
      const more = page.length > 0 && page.length < this.#page && page.at(-1).revision > 1 ? await ask(page.at(-1).revision, 1) : []
      return () => {
        this.list = [...this.list, ...page, ...more]
        this.ended = page.length < this.#page && more.length === 0
        this.loaded = true
      }
    })
  }

  /** What has been written since. */
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

  /** Asks for the write of one revision and the one before it, wherever they lie; `found` gets what there is. */
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
