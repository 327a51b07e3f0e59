// The loaded part of the trash. The server lists it in byte order; here the latest deleted keys come first. No DOM.

import { fold } from "../shared/texts.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

const PAGE = 500
const AT_ONCE = 1_000 // keys that are loaded before the user asks for more
const LOOK_THROUGH = 5_000
const STEP = 200 // rows
const AT_MOST_EVERY = 1_000 // milliseconds

export class TrashModel {
  entries = []
  next = null // the after of the next page; null at the end
  loaded = false
  asking = false
  refusal = null
  chosen = new Set() // keys
  visible = STEP // rows that are drawn

  #model
  #stale = true // whether keys have been deleted since the last request
  #epoch = null
  #asked = -Infinity

  /** @param {DashboardModel} model */
  constructor(model) {
    this.#model = model
    model.kv.addEventListener("change", ({ detail: { facts } }) => (this.#stale ||= facts.some(({ entry }) => !entry)))
  }

  /** This object itself: the shared views read `source.writes`. */
  get writes() {
    return this
  }

  /** Keep the trash up to date. Call with every draw. */
  look() {
    const { position, state } = this.#model.kv
    if (state !== "live") {
      this.#stale = true
      return
    }
    if (position.epoch !== this.#epoch) this.#stale = true
    this.#epoch = position.epoch
    if (this.#stale && !this.asking && performance.now() - this.#asked > AT_MOST_EVERY) this.again()
    return undefined
  }

  /** Reload as many keys as were loaded. */
  again() {
    this.#stale = false
    const known = Math.max(AT_ONCE, this.entries.length)
    return this.#asks(async () => {
      const entries = []
      let next = null
      do {
        const page = await this.#page(next)
        entries.push(...page.entries)
        next = page.next
      } while (next !== null && entries.length < known)
      Object.assign(this, { entries, next, loaded: true })
    })
  }

  /** Show more rows, and load more keys if there are none left. */
  showMore() {
    this.visible += STEP
    if (this.visible >= this.entries.length) this.more()
    this.#model.redraw()
  }

  more() {
    if (this.next === null) return undefined
    return this.#asks(async () => {
      const page = await this.#page(this.next)
      Object.assign(this, { entries: [...this.entries, ...page.entries], next: page.next })
    })
  }

  /**
   * Return the entries whose key contains `text`, without keys that were created again or purged meanwhile.
   * @param {string} text
   */
  items(text) {
    const now = this.#model.now()
    const needle = fold(text)
    const stays = ({ key, purge_at }) =>
      fold(key).includes(needle) && !this.#model.kv.entry(key) && Date.parse(purge_at) > now
    const items = this.entries.filter(stays).sort((a, b) => (a.deleted_at < b.deleted_at ? 1 : -1))
    if (text !== "" && items.length < PAGE && this.entries.length < LOOK_THROUGH && !this.refusal) this.more()
    return items
  }

  /**
   * Restore these keys: {revisions, refusals}.
   * @param {string[]} keys
   */
  async restore(keys) {
    const answers = await Promise.allSettled(keys.map((key) => this.#model.kv.restore(key, { ifRevision: 0 })))
    for (const key of keys) this.chosen.delete(key)
    this.#model.redraw()
    return {
      revisions: answers
        .flatMap((answer) => (answer.status === "fulfilled" ? answer.value.revision : []))
        .sort((a, b) => a - b),
      refusals: answers.flatMap((answer) => (answer.status === "rejected" ? answer.reason : [])),
    }
  }

  #page(after) {
    return this.#model.kv.trash({ limit: PAGE, ...(after === null ? {} : { after }) })
  }

  async #asks(work) {
    if (this.asking) return
    this.asking = true
    this.#asked = performance.now()
    try {
      await work()
      this.refusal = null
    } catch (refusal) {
      this.refusal = refusal
    }
    this.asking = false
    this.#model.redraw()
  }
}
