// A device of the demonstration: a client with its own connection that writes continuously. It records its acknowledged
// writes, so that at the end every device can be checked for missed changes.

import { Client } from "../client/client.js"

export const CELLS = 60
const MOST_WAITING = 30

export class Device {
  /** The writes that the server has acknowledged to this device: key → the revision of the last write to it. */
  acknowledged = new Map()
  writing = false

  #number
  #count = 0

  constructor(number, { name, url, token }) {
    this.#number = number
    this.name = name
    this.kv = new Client({ url, token })
  }

  /** The last writer of each cell of the board, as known to this device: [{by, revision}]. */
  get board() {
    return Array.from({ length: CELLS }, (_, cell) => {
      const entry = this.kv.entry(cellKey(cell))
      return entry ? { by: /** @type {any} */ (entry.value).by, revision: entry.revision } : { by: null, revision: 0 }
    })
  }

  /** Paint a few cells, unless enough writes are pending. */
  paint(times) {
    for (let i = 0; i < times && this.writing && this.kv.pending.length < MOST_WAITING; i++) {
      const key = cellKey(Math.floor(Math.random() * CELLS))
      this.set(key, { by: this.#number, n: ++this.#count })
    }
  }

  async set(key, value, options) {
    const { revision } = await this.kv.set(key, value, options)
    if (revision > (this.acknowledged.get(key) ?? 0)) this.acknowledged.set(key, revision)
    return revision
  }

  /** Return how many of these acknowledged writes this device has neither received nor seen overwritten. */
  missing(acknowledged) {
    let missed = 0
    for (const [key, revision] of acknowledged) if (!((this.kv.entry(key)?.revision ?? 0) >= revision)) missed += 1
    return missed
  }
}

function cellKey(cell) {
  return `board/${String(cell).padStart(2, "0")}`
}
