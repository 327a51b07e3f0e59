// How keys are ticked: one row, or all from one row to another. No DOM.

export class Range {
  #selection
  #base = new Set() // what was ticked before the range that is being drawn
  #from = null // the row where that range begins
  #drawn = null // the set that came of it

  constructor(selection) {
    this.#selection = selection
  }

  /** Ticks all these keys of a row, or none if all were ticked; a range may begin there. */
  toggle(keys, row) {
    const { ticked } = this.#selection
    const tick = this.#selection.state(keys) !== "true"
    for (const key of keys) tick ? ticked.add(key) : ticked.delete(key)
    this.#begin(row)
  }

  /** Ticks every row from where the range began to the row number `to`; `start` is where it begins if none has. */
  extend(rows, start, to) {
    if (this.#drawn !== this.#selection.ticked || rows.indexOf(this.#from) < 0) this.#begin(start)
    const ticked = new Set(this.#base)
    const from = rows.indexOf(this.#from)
    for (let row = Math.min(from, to); row <= Math.max(from, to); row++) for (const key of rows.keysAt(row)) ticked.add(key)
    this.#selection.set(ticked)
    this.#drawn = this.#selection.ticked
  }

  #begin(row) {
    this.#from = row
    this.#base = new Set(this.#selection.ticked)
    this.#drawn = this.#selection.ticked
  }
}
