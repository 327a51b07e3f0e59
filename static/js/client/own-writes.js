// Recognizes this tab's own changes: by the revisions of its acknowledged writes and the contents of those in flight.

import { same } from "./json-values.js"

/**
 * @import { Outbox, Payload } from "./outbox.js"
 * @import { Fact, Replica } from "./replica.js"
 */

const MOST = 1_000 // remembered writes

export class OwnWrites {
  /**
   * This tab's session, once known.
   * @type {{ id: string, label: string } | null}
   */
  session = null

  #replica
  #outbox
  /** @type {Set<string>} */
  #written = new Set() // the positions of own writes

  /** @param {Replica} replica @param {Outbox} outbox */
  constructor(replica, outbox) {
    this.#replica = replica
    this.#outbox = outbox
  }

  /**
   * Remember the revision of a write of this tab.
   * @param {number} revision
   */
  remember(revision) {
    this.#written.add(this.#at(revision))
    if (this.#written.size > MOST) this.#written.delete(/** @type {string} */ (this.#written.values().next().value))
  }

  /** @param {number} revision */
  wrote(revision) {
    return this.#written.has(this.#at(revision))
  }

  /**
   * Return whether this tab made the change. The acknowledgement comes after the change, so an own write in flight with
   * the same content counts.
   * @param {Pick<Fact, "key" | "entry" | "revision" | "origin">} change
   */
  has({ key, entry, revision, origin }) {
    if (this.wrote(revision)) return true
    // Only the server knows the content of an undo and all keys under a prefix.
    const ours = this.session === null || origin?.session === this.session.id
    /** @type {(op: string, payload: { [name: string]: any }) => boolean} */
    const says = (op, payload) =>
      payload.key === key && (op === "set" ? entry !== undefined && same(payload.value, entry.value) : !entry)
    return this.#outbox.awaits(({ verb, payload }) => {
      if (verb === "batch") return payload.ops.some((/** @type {Payload} */ op) => says(op.op, op))
      if (verb === "restore") return payload.key === key && entry !== undefined
      if (verb === "delete_prefix") return ours && !entry && key.startsWith(payload.prefix)
      if (verb === "move" && !entry) return ours && liesAt(key, payload.from)
      if (verb === "move" || verb === "copy") return ours && entry !== undefined && liesAt(key, payload.to)
      return verb === "undo" ? ours : says(verb, payload)
    })
  }

  /**
   * Return the position as text: in another epoch the same revision is another write.
   * @param {number} revision
   */
  #at(revision) {
    return `${this.#replica.dataSet}:${revision}`
  }
}

/**
 * Return whether `key` is the key `place`, or begins with the prefix `place`.
 * @param {string} key
 * @param {string} place
 */
function liesAt(key, place) {
  return place.endsWith("/") ? key.startsWith(place) : key === place
}
