// The selected keys, for bulk actions. No DOM.

export class Selection {
  /** Replaced by a new set whenever the selection starts over. */
  ticked = new Set()

  get size() {
    return this.ticked.size
  }
  get keys() {
    return [...this.ticked]
  }

  /**
   * Return "true", "false" or "mixed": all, none or some of these keys are selected.
   * @param {string[]} keys
   */
  state(keys) {
    const count = this.size === 0 ? 0 : keys.reduce((sum, key) => sum + Number(this.ticked.has(key)), 0)
    return count === 0 ? "false" : count === keys.length ? "true" : "mixed"
  }

  /** @param {Iterable<string>} keys */
  set(keys) {
    this.ticked = new Set(keys)
  }

  clear() {
    this.set([])
  }

  /** @param {string} key */
  drop(key) {
    this.ticked.delete(key)
  }
}
