// Which changes are this tab's own: by the revisions that its writes have taken, and by what those say that are on their way.

import { same } from "./values.js"

const MOST = 1_000 // writes that are remembered

export class Own {
  /** This tab's session, {id, label}, once known. */
  session = null

  #replica
  #outbox
  #written = new Set() // their positions

  constructor(replica, outbox) {
    this.#replica = replica
    this.#outbox = outbox
  }

  /** A write of this tab has taken this revision. */
  remember(revision) {
    this.#written.add(this.#at(revision))
    if (this.#written.size > MOST) this.#written.delete(this.#written.values().next().value)
  }

  wrote(revision) {
    return this.#written.has(this.#at(revision))
  }

  /** The acknowledgement comes after the change, so a write of ours that is on its way and says the same is it. */
  has({ key, entry, revision, origin }) {
    if (this.wrote(revision)) return true
    // what an undo says, and what lies under a prefix, is for the server to know
    const ours = this.session === null || origin?.session === this.session.id
    const says = (op, payload) =>
      payload.key === key && (op === "set" ? entry !== undefined && same(payload.value, entry.value) : !entry)
    return this.#outbox.awaits(({ verb, payload }) => {
      if (verb === "batch") return payload.ops.some((op) => says(op.op, op))
      if (verb === "restore") return payload.key === key && entry !== undefined
      if (verb === "delete_prefix") return ours && !entry && key.startsWith(payload.prefix)
      if (verb === "move" && !entry) return ours && liesAt(key, payload.from)
      if (verb === "move" || verb === "copy") return ours && entry !== undefined && liesAt(key, payload.to)
      return verb === "undo" ? ours : says(verb, payload)
    })
  }

  /** The same revision is another write in another data set. */
  #at(revision) {
    return `${this.#replica.dataSet}:${revision}`
  }
}

/** Whether `key` is that key, or lies under that prefix. */
function liesAt(key, place) {
  return place.endsWith("/") ? key.startsWith(place) : key === place
}
