// Row selection: one row, or a range. No DOM.

/**
 * @import { Selection } from "./selection.js"
 * @import { RowIndex } from "./row-index.js"
 */

export class RangeSelection {
  #selection
  #base = new Set() // the selection before the current range
  /** @type {string | null} */
  #from = null // the row where that range begins
  /** @type {Set<string> | null} */
  #drawn = null // the resulting set

  /** @param {Selection} selection */
  constructor(selection) {
    this.#selection = selection
  }

  /**
   * Select all these keys of a row, or none if all were selected; a range can begin there.
   * @param {string[]} keys
   * @param {string} row
   */
  toggle(keys, row) {
    const { ticked } = this.#selection
    const tick = this.#selection.state(keys) !== "true"
    for (const key of keys) tick ? ticked.add(key) : ticked.delete(key)
    this.#begin(row)
  }

  /**
   * Select every row from the start of the range to row number `to`; `start` begins a range if there is none.
   * @param {RowIndex} rows
   * @param {string} start
   * @param {number} to
   */
  extend(rows, start, to) {
    if (this.#drawn !== this.#selection.ticked || rows.indexOf(this.#from) < 0) this.#begin(start)
    const ticked = new Set(this.#base)
    const from = rows.indexOf(this.#from)
    for (let row = Math.min(from, to); row <= Math.max(from, to); row++)
      for (const key of rows.keysAt(row)) ticked.add(key)
    this.#selection.set(ticked)
    this.#drawn = this.#selection.ticked
  }

  /** @param {string} row */
  #begin(row) {
    this.#from = row
    this.#base = new Set(this.#selection.ticked)
    this.#drawn = this.#selection.ticked
  }
}
