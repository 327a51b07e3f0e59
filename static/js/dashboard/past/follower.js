// Keeps writes of the past in step with what the tab hears: asks when something is looked at, not more often than needed, and not
// again and again for what was refused. No DOM.

const AT_MOST_EVERY = 500 // milliseconds

export class Follower {
  #kv
  #writes
  #forget
  #epoch = null
  #asked = -Infinity
  #interrupted = false

  /** `forget()` is called when all that was known is of another data set. */
  constructor(kv, writes, forget = () => {}) {
    this.#kv = kv
    this.#writes = writes
    this.#forget = forget
  }

  /** Called whenever they are shown; `isBehind()` says whether there is something newer that is to be shown. */
  look(isBehind) {
    const { position, state } = this.#kv
    if (state !== "live") return (this.#interrupted = true)
    if (position.epoch !== this.#epoch) this.#begin(position.epoch)
    const mended = this.#interrupted
    this.#interrupted = false
    if (this.#writes.asking || (this.#writes.refusal && !mended)) return undefined
    if (!this.#writes.loaded) return this.#ask()
    if (isBehind() && performance.now() - this.#asked > AT_MOST_EVERY) return this.#ask()
    return undefined
  }

  /** After a refusal. */
  again() {
    this.#ask()
  }

  #begin(epoch) {
    if (this.#epoch !== null) this.#writes.reset()
    if (this.#epoch !== null) this.#forget()
    this.#epoch = epoch
  }

  #ask() {
    this.#asked = performance.now()
    this.#writes.newer()
  }
}
