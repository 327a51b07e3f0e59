// What the list shows: which keys, in which order, and what is new about them. No DOM.

import { whoWrote } from "../shared/origins.js"
import { LEAVING, Marks } from "./marks.js"
import { Rows } from "./rows.js"

const MANY = 500 // facts at once, above which the rows are made anew

export class Browse {
  rows = new Rows()
  marks = new Marks()
  filter = ""
  unsent = new Set() // keys that a waiting write touches

  #desk
  #leaving = new Set() // keys that are gone and whose rows are just fading

  constructor(desk) {
    this.#desk = desk
  }

  setFilter(text) {
    this.filter = text
    this.rows.filter(text)
    this.#desk.redraw()
  }

  follow(_route) {}

  /** These facts have become true; `first`: with the first sync, before which there was nothing. */
  changed(facts, first) {
    const now = Date.now()
    if (facts.length > MANY) this.#replaceRows()
    for (const fact of facts) {
      if (facts.length <= MANY) this.#placeRow(fact)
      if (!fact.mine && !first) this.#mark(fact, now)
    }
  }

  pendingChanged() {
    const before = this.unsent
    this.unsent = new Set(this.#desk.kv.pending.flatMap(({ keys }) => keys))
    for (const key of this.unsent) this.rows.add(key)
    for (const key of before) if (!this.unsent.has(key) && !this.#leaving.has(key)) this.#dropRow(key)
  }

  #replaceRows() {
    this.rows.replace([...new Set([...this.#desk.kv.keys(), ...this.unsent])])
  }

  #placeRow({ key, entry, mine }) {
    this.#leaving.delete(key)
    if (entry) return this.rows.add(key)
    if (mine || !this.rows.has(key)) return this.#dropRow(key)
    // Deleted elsewhere: the row stays for a moment, so that one sees what has gone.
    this.#leaving.add(key)
    setTimeout(() => this.#leaving.delete(key) && this.#dropRow(key), LEAVING)
  }

  #dropRow(key) {
    if (this.#desk.kv.entry(key) || this.unsent.has(key)) return
    this.rows.remove(key)
    this.#desk.redraw()
  }

  #mark({ key, entry, old, origin, resync }, now) {
    const kind = !entry ? "gone" : old ? "changed" : "new"
    this.marks.note(key, kind, whoWrote(origin), now, resync)
  }
}
