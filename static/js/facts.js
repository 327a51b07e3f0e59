// What listeners hear: one key has changed. Entries are made presentable only when somebody looks, because a first sync
// brings a hundred thousand of them at once.

import { frozen } from "./values.js"

export class Fact {
  #fact

  constructor(fact, mine) {
    this.#fact = fact
    /** Whether this tab wrote it. */
    this.mine = mine
  }

  get key() {
    return this.#fact.key
  }
  /** The entry as it is now; undefined once deleted. */
  get entry() {
    return visible(this.#fact.entry)
  }
  /** The entry as it was; undefined when it was not there. */
  get old() {
    return visible(this.#fact.old)
  }
  get value() {
    return this.entry?.value
  }
  /** Who wrote, {session, label, via}; undefined when a sync from nothing found the key gone. */
  get origin() {
    return this.#fact.origin
  }
  get revision() {
    return this.#fact.revision
  }
  /** Whether a sync found it out: then it may be the net effect of many writes, at some time in the past. */
  get resync() {
    return this.#fact.resync
  }
}

/** An entry of the replica as callers see it: without our own notes, and frozen, as the server holds it. */
export function visible(entry) {
  if (!entry) return undefined
  const { crc: _, ...shown } = entry
  frozen(shown.value)
  return shown
}
