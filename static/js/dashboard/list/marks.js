// What others have changed, for as long as it is news: who, what, and whether its row flashes. A row flashes at most once
// in 1.6 s, and nothing flashes at all while changes rain down. No DOM; the time comes in as milliseconds.

export const FLASH = 1_600
export const NEWS = 10_000
export const LEAVING = 600
const BURST = 20 // changes a second

export class Marks {
  #marks = new Map() // key → {kind, who, at, flashed}
  #recent = [] // when changes came, over the last second

  /** `kind`: "changed", "new" or "gone"; `calm`: no flash, as for what a sync found out. */
  note(key, kind, who, now, calm = false) {
    this.#recent.push(now)
    this.#forgetRecent(now)
    const before = this.#marks.get(key)
    const flashing = before !== undefined && now - before.flashed < FLASH
    const flashed = flashing ? before.flashed : calm || this.rate(now) > BURST ? -Infinity : now
    this.#marks.set(key, { kind, who, at: now, flashed })
  }

  /** {kind, who, flashing}, or undefined when there is no news of this key. */
  of(key, now) {
    const mark = this.#marks.get(key)
    if (!mark || now - mark.at >= NEWS) return undefined
    return { kind: mark.kind, who: mark.who, flashing: now - mark.flashed < FLASH }
  }

  drop(key) {
    this.#marks.delete(key)
  }

  /** Changes in the last second. */
  rate(now) {
    this.#forgetRecent(now)
    return this.#recent.length
  }

  bursting(now) {
    return this.rate(now) > BURST
  }

  /** Forgets what is no news any more; returns whether any is left. */
  sweep(now) {
    for (const [key, { at }] of this.#marks) if (now - at >= NEWS) this.#marks.delete(key)
    return this.#marks.size > 0
  }

  #forgetRecent(now) {
    while (this.#recent.length > 0 && now - this.#recent[0] >= 1_000) this.#recent.shift()
    if (this.#recent.length > 1_000) this.#recent.splice(0, this.#recent.length - 1_000)
  }
}
