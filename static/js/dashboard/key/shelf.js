// Where drafts lie: one for each key in which something is not saved, and those that wait until such a one is done. No DOM.

export class Shelf {
  #drafts = new Map()
  #waiting = []

  get keys() {
    return [...this.#drafts.keys()]
  }

  /** What is not on the server yet: [{key, text}]. */
  get edited() {
    return [...this.#drafts.values(), ...this.#waiting].filter((draft) => draft.edited).map(({ key, text }) => ({ key, text }))
  }

  /** Those that nothing has been done with yet. */
  get drafts() {
    return [...this.#drafts.values(), ...this.#waiting].filter((draft) => draft.unsaved)
  }

  /** Whether there is any that nothing has been done with yet. */
  get unsaved() {
    return this.#waiting.length > 0 || [...this.#drafts.values()].some((draft) => draft.unsaved)
  }

  of(key) {
    return this.#drafts.get(key)
  }

  /** Keeps a draft as long as there is something in it, behind another one of its key; returns the one whose turn it is then, if any. */
  keep(draft) {
    const there = this.#drafts.get(draft.key)
    if (!draft.edited && draft.saving === null) return there === draft ? this.drop(draft.key) : null
    if (!there) this.#drafts.set(draft.key, draft)
    else if (there !== draft && !this.#waiting.includes(draft)) this.#waiting.push(draft)
    return null
  }

  /** Lets that of a key go, and returns the one whose turn it is then, or null. */
  drop(key) {
    this.#drafts.delete(key)
    const next = this.#waiting.find((draft) => draft.key === key) ?? null
    this.#waiting = this.#waiting.filter((draft) => draft !== next)
    if (next) this.#drafts.set(key, next)
    return next
  }
}
