// Keeps a list of writes up to date with the tab's replica: requests new writes while the list is shown, at a limited
// rate, and does not repeat a request that was rejected. No DOM.

/** @import { Client } from "../../client/client.js" */

const AT_MOST_EVERY = 500 // milliseconds

export class WriteFollower {
  #kv
  #writes
  #forget
  #epoch = null
  #asked = -Infinity
  #interrupted = false

  /**
   * `forget()` is called when the loaded writes belong to another data set.
   * @param {Client} kv
   */
  constructor(kv, writes, forget = () => {}) {
    this.#kv = kv
    this.#writes = writes
    this.#forget = forget
  }

  /** Called with every draw of the list; `isBehind()` returns whether there are newer writes to show. */
  look(isBehind) {
    const { position, state } = this.#kv
    if (state !== "live") {
      this.#interrupted = true
      return
    }
    if (position.epoch !== this.#epoch) this.#begin(position.epoch)
    const mended = this.#interrupted
    this.#interrupted = false
    if (this.#writes.asking || (this.#writes.refusal && !mended)) return undefined
    if (!this.#writes.loaded) return this.#ask()
    if (isBehind() && performance.now() - this.#asked > AT_MOST_EVERY) return this.#ask()
    return undefined
  }

  /** Ask again after an error. */
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
