// The keys that are ticked, for what is to be done with many at once. No DOM.

export class Selection {
  /** Another set whenever it begins anew. */
  ticked = new Set()

  get size() {
    return this.ticked.size
  }
  get keys() {
    return [...this.ticked]
  }

  /** "true", "false", or "mixed": of these keys all, none or some are ticked. */
  state(keys) {
    const count = this.size === 0 ? 0 : keys.reduce((sum, key) => sum + this.ticked.has(key), 0)
    return count === 0 ? "false" : count === keys.length ? "true" : "mixed"
  }

  set(keys) {
    this.ticked = new Set(keys)
  }

  clear() {
    this.set([])
  }

  drop(key) {
    this.ticked.delete(key)
  }
}
