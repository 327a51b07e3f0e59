// A device of the demonstration: a client of its own, on a cable of its own, that writes all the time and keeps count of what
// was acknowledged, so that in the end it can say of any device whether it has missed something.

import { Client } from "../client.js"

export const CELLS = 60
const MOST_WAITING = 30

export class Device {
  /** What the server has acknowledged to this device: key → the revision of its last write to it. */
  acknowledged = new Map()
  writing = false

  #number
  #count = 0

  constructor(number, { name, url, token }) {
    this.#number = number
    this.name = name
    this.kv = new Client({ url, token })
  }

  /** Who wrote each cell of the board last, as this device knows it: [{by, revision}]. */
  get board() {
    return Array.from({ length: CELLS }, (_, cell) => {
      const entry = this.kv.entry(cellKey(cell))
      return entry ? { by: entry.value.by, revision: entry.revision } : { by: null, revision: 0 }
    })
  }

  /** Paints a few cells, unless enough is on its way already. */
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

  /** How many of these acknowledged writes it has neither got nor seen overwritten. */
  missing(acknowledged) {
    let missed = 0
    for (const [key, revision] of acknowledged) if (!(this.kv.entry(key)?.revision >= revision)) missed += 1
    return missed
  }
}

function cellKey(cell) {
  return `board/${String(cell).padStart(2, "0")}`
}
