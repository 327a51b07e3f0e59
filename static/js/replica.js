// The entries this tab holds and how far it has come: the client's rule of the protocol, and nothing else.
// Knows neither the DOM nor the socket. It never shows a half state: a sync takes effect with its last page, a
// change as a whole, and what a sync would make of the entries is proved by its digest before it counts.

import { crc32, share } from "./digest.js"
import { same } from "./values.js"

/** How many pushes are held back during a sync before we rather sync once more after it. */
const MOST_HELD = 1000

/**
 * An entry as held here: {key, value, revision, version, updated_at, expires_at, origin, crc}.
 * A fact: {key, entry, old, origin, revision, resync}; `entry` is undefined once deleted, `old` when it was not there.
 */
export class Replica {
  #entries = new Map()
  #epoch = null // null while our position counts for nothing
  #dataSet = null
  #revision = 0
  #digest = 0
  #sync = null // while one is in flight: {pages, held, fromNothing, overflown}
  #tell

  /** `tell(facts)` is called after the entries have changed, with every key that was touched. */
  constructor(tell = () => {}) {
    this.#tell = tell
  }

  /** How often we found that our entries were not the server's, and how often that they were. */
  differences = 0
  proofs = 0

  /** When the newest of the writes that we know was made, as the server says it; null before there was one. */
  newest = null

  get entries() {
    return this.#entries
  }
  get epoch() {
    return this.#epoch
  }
  /** The epoch that the entries are of, also while their position counts for nothing; null before there were any. */
  get dataSet() {
    return this.#dataSet
  }
  get revision() {
    return this.#revision
  }
  get keys() {
    return this.#entries.size
  }
  get digest() {
    return this.#digest
  }
  get syncing() {
    return this.#sync !== null
  }

  /** A pushed `change`: "applied", "dropped", "held" (a sync is in flight), or "lost": sync now. */
  apply(change) {
    if (this.#sync) return this.#hold(change)
    if (change.epoch !== this.#epoch) return this.#forgetPosition()
    if (change.revision <= this.#revision) return "dropped"
    if (change.from > this.#revision) return "lost"
    this.#commit(this.#outcome(change.writes, this.#revision, false), change.revision, false)
    return "applied"
  }

  /** A pushed `bookmark`: "same", "ignored" (older than we are), "held", or "lost" and "different": sync now. */
  compare(bookmark) {
    if (this.#sync) return "held"
    if (bookmark.epoch !== this.#epoch) return this.#forgetPosition()
    if (bookmark.revision > this.#revision) return "lost"
    if (bookmark.revision < this.#revision || bookmark.keys === undefined) return "ignored"
    if (!this.#proves(bookmark, this.keys, this.#digest)) return this.#differs()
    this.proofs += 1
    return "same"
  }

  /**
   * Fills an empty replica with entries that were kept, and says whether they are what their `state` {epoch, revision, keys, digest} says
   * of them; else it stays empty. The next sync goes on from there.
   */
  fill(state, kept) {
    if (this.#epoch !== null || this.#entries.size > 0 || this.#sync) return false
    const entries = new Map()
    let digest = 0
    for (const entry of kept) {
      const crc = crc32(entry.key)
      digest = (digest + share(crc, entry.revision)) >>> 0
      entries.set(entry.key, { ...entry, crc })
      if (this.newest === null || entry.updated_at > this.newest) this.newest = entry.updated_at
    }
    if (entries.size !== state.keys || digest !== state.digest || kept.some(({ revision }) => revision > state.revision)) return false
    this.#entries = entries
    this.#epoch = this.#dataSet = state.epoch
    this.#revision = state.revision
    this.#digest = digest
    const facts = kept.map(({ key, origin, revision }) => ({ key, entry: entries.get(key), old: undefined, origin, revision, resync: true }))
    if (facts.length > 0) this.#tell(facts)
    return true
  }

  /** What we hold is no longer trusted: the next sync is one from nothing. */
  distrust() {
    this.#forgetPosition()
  }

  /** Starts a sync, or starts it anew; returns its first payload. */
  startSync() {
    const fromNothing = this.#epoch === null
    this.#sync = { pages: [], held: this.#sync?.held ?? [], fromNothing, overflown: false }
    return fromNothing ? {} : { epoch: this.#epoch, since: this.#revision }
  }

  /** The connection is gone, and with it the sync and what was held back for it. */
  dropSync() {
    this.#sync = null
  }

  /**
   * A page of the sync in flight. Returns the payload that fetches the next one, or null when the sync is through; a
   * payload after the last page asks for a new sync (`startSync` was called), because something did not fit.
   */
  takePage(page) {
    const { pages } = this.#sync
    // A `next` that had become useless answers with a fresh first page: what we have collected is worth nothing.
    if (pages.length > 0 && !follows(page, pages.at(-1))) pages.length = 0
    pages.push(page)
    return page.next === null || page.next === undefined ? this.#finish() : { next: page.next }
  }

  #hold(change) {
    if (this.#sync.held.length < MOST_HELD) this.#sync.held.push(change)
    else this.#sync.overflown = true
    return "held"
  }

  #finish() {
    const { pages, held, overflown } = this.#sync
    const last = pages.at(-1)
    const reset = pages[0].reset
    const writes = pages.flatMap((page) => page.writes)
    const outcome = this.#outcome(writes, reset ? -1 : this.#revision, reset)
    this.#sync = null
    const proved = last.keys === undefined || this.#proves(last, outcome.keys, outcome.digest)
    if (!proved) {
      this.#differs()
      // After a sync from nothing there is no better source; the next bookmark will tell again.
      if (!reset) return this.startSync()
    } else if (last.keys !== undefined) this.proofs += 1
    this.#epoch = this.#dataSet = last.epoch
    this.#commit(outcome, last.revision, true)
    return this.#applyHeld(held) && !overflown ? null : this.startSync()
  }

  #applyHeld(held) {
    return held.every((change) => this.apply(change) !== "lost")
  }

  /** What the ops of these writes come to: what becomes of each key they touch, and the digest and number of keys. */
  #outcome(writes, after, reset) {
    const touched = new Map() // key → {entry, write}; entry is undefined once deleted
    let digest = reset ? 0 : this.#digest
    let keys = reset ? 0 : this.keys
    for (const write of writes) {
      if (write.revision <= after) continue
      if (this.newest === null || write.at > this.newest) this.newest = write.at
      for (const op of write.ops) {
        const held = this.#entries.get(op.key)
        const old = touched.has(op.key) ? touched.get(op.key).entry : reset ? undefined : held
        const entry = op.op === "set" ? entryOf(op, write, held) : undefined
        if (old) digest -= share(old.crc, old.revision)
        if (entry) digest += share(entry.crc, entry.revision)
        digest >>>= 0
        keys += (entry ? 1 : 0) - (old ? 1 : 0)
        touched.set(op.key, { entry, write })
      }
    }
    return { touched, digest, keys, reset }
  }

  #commit({ touched, digest, reset }, revision, resync) {
    const facts = []
    const put = (key, entry, write) => {
      const old = this.#entries.get(key)
      if (entry) this.#entries.set(key, entry)
      else this.#entries.delete(key)
      if (!entry && !old) return
      if (resync && old && entry && sameEntry(old, entry)) return
      facts.push({ key, entry, old, origin: write?.origin, revision: write?.revision ?? revision, resync })
    }
    if (reset) for (const key of this.#entries.keys()) if (!touched.has(key)) put(key, undefined, undefined)
    for (const [key, { entry, write }] of touched) put(key, entry, write)
    this.#revision = revision
    this.#digest = digest
    if (facts.length > 0) this.#tell(facts)
  }

  #proves(proof, keys, digest) {
    return proof.keys === keys && proof.digest === digest
  }

  #differs() {
    this.differences += 1
    this.#forgetPosition()
    return "different"
  }

  /** From here on only a sync from nothing helps; the entries stand until it has come. */
  #forgetPosition() {
    this.#epoch = null
    return "lost"
  }
}

function follows(page, before) {
  return page.epoch === before.epoch && page.from === before.revision && page.reset === before.reset
}

function sameEntry(a, b) {
  return a.revision === b.revision && a.updated_at === b.updated_at && same(a.value, b.value)
}

function entryOf(op, write, old) {
  return {
    key: op.key,
    value: op.value,
    revision: write.revision,
    version: op.version,
    updated_at: write.at,
    expires_at: op.expires_at ?? null,
    origin: write.origin,
    crc: old ? old.crc : crc32(op.key),
  }
}
