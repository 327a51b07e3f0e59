// The draft store: one draft per key with unsaved text, and those that wait behind another draft of their key. No DOM.

/** @import { Draft } from "./draft.js" */

export class DraftStore {
  /** @type {Map<string, Draft>} */
  #drafts = new Map()
  /** @type {Draft[]} */
  #waiting = []

  get keys() {
    return [...this.#drafts.keys()]
  }

  /** Drafts that are not on the server yet: [{key, text}]. */
  get edited() {
    return [...this.#drafts.values(), ...this.#waiting]
      .filter((draft) => draft.edited)
      .map(({ key, text }) => ({ key, text }))
  }

  /** The drafts with edits that are neither saved nor being saved. */
  get drafts() {
    return [...this.#drafts.values(), ...this.#waiting].filter((draft) => draft.unsaved)
  }

  /** Whether any draft has edits that are neither saved nor being saved. */
  get unsaved() {
    return this.#waiting.length > 0 || [...this.#drafts.values()].some((draft) => draft.unsaved)
  }

  /** @param {string} key */
  of(key) {
    return this.#drafts.get(key)
  }

  /**
   * Keep a draft as long as it has edits, behind an earlier one of its key; return the next waiting draft, if any.
   * @param {Draft} draft
   */
  keep(draft) {
    const there = this.#drafts.get(draft.key)
    if (!draft.edited && draft.saving === null) return there === draft ? this.drop(draft.key) : null
    if (!there) this.#drafts.set(draft.key, draft)
    else if (there !== draft && !this.#waiting.includes(draft)) this.#waiting.push(draft)
    return null
  }

  /**
   * Drop the draft of a key, and return the next one that waited, or null.
   * @param {string} key
   */
  drop(key) {
    this.#drafts.delete(key)
    const next = this.#waiting.find((draft) => draft.key === key) ?? null
    this.#waiting = this.#waiting.filter((draft) => draft !== next)
    if (next) this.#drafts.set(key, next)
    return next
  }
}
