// Highlights of recent changes by others: author, kind, and whether the row flashes. A row flashes at most once in 1.6
// s, and no row flashes during a burst of changes. No DOM; the time is passed in as milliseconds.

export const FLASH = 1_600
export const NEWS = 10_000
export const LEAVING = 600
const BURST = 20 // changes a second

export class ChangeHighlights {
  #marks = new Map() // key → {kind, who, at, flashed}
  /** @type {number[]} */
  #recent = [] // times of the changes within the last second

  /**
   * Record a change. `kind`: "changed", "new" or "gone"; `calm`: no flash, for changes found by a sync.
   * @param {string} key
   * @param {number} now
   * @param {"changed" | "new" | "gone"} kind
   * @param {string} who
   * @param {number} now
   * @param {boolean} calm
   */
  note(key, kind, who, now, calm = false) {
    this.#recent.push(now)
    this.#forgetRecent(now)
    const before = this.#marks.get(key)
    const flashing = before !== undefined && now - before.flashed < FLASH
    const flashed = flashing ? before.flashed : calm || this.rate(now) > BURST ? -Infinity : now
    this.#marks.set(key, { kind, who, at: now, flashed })
  }

  /**
   * Return {kind, who, flashing}, or undefined if this key has no recent change.
   * @param {string} key
   * @param {number} now
   */
  of(key, now) {
    const mark = this.#marks.get(key)
    if (!mark || now - mark.at >= NEWS) return undefined
    return { kind: mark.kind, who: mark.who, flashing: now - mark.flashed < FLASH }
  }

  /** @param {string} key */
  drop(key) {
    this.#marks.delete(key)
  }

  /**
   * The number of changes in the last second.
   * @param {number} now
   */
  rate(now) {
    this.#forgetRecent(now)
    return this.#recent.length
  }

  /** @param {number} now */
  bursting(now) {
    return this.rate(now) > BURST
  }

  /**
   * Forget old changes; return whether any recent ones are left.
   * @param {number} now
   */
  sweep(now) {
    for (const [key, { at }] of this.#marks) if (now - at >= NEWS) this.#marks.delete(key)
    return this.#marks.size > 0
  }

  /** @param {number} now */
  #forgetRecent(now) {
    while (this.#recent.length > 0 && now - this.#recent[0] >= 1_000) this.#recent.shift()
    if (this.#recent.length > 1_000) this.#recent.splice(0, this.#recent.length - 1_000)
  }
}
