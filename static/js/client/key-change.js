// The change of one key, as passed to listeners. Entries are copied and frozen on access only, because a first sync
// brings a hundred thousand of them at once.

import { frozen } from "./json-values.js"

/** @import { Entry, Fact, HeldEntry } from "./replica.js" */

export class KeyChange {
  #fact

  /** @param {Fact} fact @param {boolean} mine */
  constructor(fact, mine) {
    this.#fact = fact
    /** Whether this tab wrote it. */
    this.mine = mine
  }

  get key() {
    return this.#fact.key
  }
  /** The entry after the change; undefined once deleted. */
  get entry() {
    return visible(this.#fact.entry)
  }
  /** The entry before the change; undefined if it did not exist. */
  get old() {
    return visible(this.#fact.old)
  }
  get value() {
    return this.entry?.value
  }
  /** The writer, {session, label, via}; undefined if a full sync found the key gone. */
  get origin() {
    return this.#fact.origin
  }
  get revision() {
    return this.#fact.revision
  }
  /** Whether a sync found the change: it may then be the net effect of many writes, at some time in the past. */
  get resync() {
    return this.#fact.resync
  }
}

/**
 * Return an entry of the replica for callers: without internal fields, and with a frozen value.
 * @param {HeldEntry | undefined} entry
 * @returns {Entry | undefined}
 */
export function visible(entry) {
  if (!entry) return undefined
  const { crc: _, ...shown } = entry
  frozen(shown.value)
  return shown
}
