// The local replica: this tab's entries and their position, by the client's rule of the protocol.
// Uses neither the DOM nor the socket. It never shows a partial state: a sync takes effect with its last page, a change
// as a whole, and the result of a sync is proved by its digest before it is used.
// Longer than 320 lines: one class, and the shapes that it reads.

import { crc32, share } from "./digest.js"
import { same } from "./json-values.js"

/** @import { Json } from "./json-values.js" */

/** Maximum of pushes held back during a sync. If more arrive, another sync follows. */
const MOST_HELD = 1000

/**
 * The author of a write. `via`: "socket", "api", "expiry" and the like.
 * @typedef {{ session?: string | null, label: string, via: string }} Origin
 */
/**
 * An entry; the times are RFC 3339 in UTC.
 * @typedef {{
 *   key: string, value: Json, revision: number, version: number,
 *   updated_at: string, expires_at: string | null, origin: Origin
 * }} Entry
 */
/** @typedef {Entry & { crc: number }} HeldEntry An entry of the replica, with the CRC-32 of its key. */
/**
 * The change of one key: `entry` is undefined once deleted, `old` if the key did not exist.
 * @typedef {{
 *   key: string, entry?: HeldEntry, old?: HeldEntry, origin?: Origin, revision: number, resync: boolean
 * }} Fact
 */
/** @typedef {{ op: "set", key: string, value: Json, version: number, expires_at?: string }} SetOp */
/** @typedef {SetOp | { op: "delete", key: string }} Op */
/** @typedef {{ revision: number, at: string, origin: Origin, undoes?: number, ops: Op[] }} WriteFrame */
/** @typedef {{ epoch: string, from: number, revision: number, writes: WriteFrame[] }} Change */
/** @typedef {{ epoch: string, revision: number, keys?: number, digest?: number }} Bookmark */
/** @typedef {Change & { reset: boolean, next?: string | null, keys?: number, digest?: number }} SyncPage */
/** @typedef {{ pages: SyncPage[], held: Change[], overflown: boolean }} Sync A sync in flight. */
/** @typedef {{ epoch?: string, since?: number, next?: string }} SyncPayload */
/**
 * The effect of writes: the touched keys with their new entry (undefined once deleted), and the totals.
 * @typedef {{
 *   touched: Map<string, { entry?: HeldEntry, write: WriteFrame }>, digest: number, keys: number, reset: boolean
 * }} Outcome
 */

/** The entries of this tab and the revision that they are at. */
export class Replica {
  /** @type {Map<string, HeldEntry>} */
  #entries = new Map()
  /** @type {string | null} */
  #epoch = null // null while the position is invalid
  /** @type {string | null} */
  #dataSet = null
  #revision = 0
  #digest = 0
  /** @type {Sync | null} */
  #sync = null
  #tell

  /**
   * `tell(facts)` is called after the entries have changed, with a fact for every touched key.
   * @param {(facts: Fact[]) => void} tell
   */
  constructor(tell = () => {}) {
    this.#tell = tell
  }

  /** The number of proofs that failed, and of those that succeeded: whether the entries equal the server's. */
  differences = 0
  proofs = 0

  /**
   * The time of the newest known write, by the server's clock; null before the first one.
   * @type {string | null}
   */
  newest = null

  get entries() {
    return this.#entries
  }
  get epoch() {
    return this.#epoch
  }
  /** The epoch of the entries, also while their position is invalid; null before the first entries. */
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

  /**
   * Apply a pushed `change`. Returns "applied", "dropped", "held" (a sync is in flight), or "lost": sync now.
   * @param {Change} change
   * @returns {"applied" | "dropped" | "held" | "lost"}
   */
  apply(change) {
    if (this.#sync) return this.#hold(this.#sync, change)
    if (change.epoch !== this.#epoch) return this.#forgetPosition()
    if (change.revision <= this.#revision) return "dropped"
    if (change.from > this.#revision) return "lost"
    this.#commit(this.#outcome(change.writes, this.#revision, false), change.revision, false)
    return "applied"
  }

  /**
   * Compare a pushed `bookmark`: "same", "ignored" (older than the replica), "held"; "lost", "different": sync now.
   * @param {Bookmark} bookmark
   * @returns {"same" | "ignored" | "held" | "lost" | "different"}
   */
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
   * Fill an empty replica with persisted entries, and return whether they match their `state` {epoch, revision, keys,
   * digest}; if not, the replica stays empty. The next sync continues from there.
   * @param {{ epoch: string, revision: number, keys: number, digest: number }} state
   * @param {Entry[]} kept
   */
  fill(state, kept) {
    if (this.#epoch !== null || this.#entries.size > 0 || this.#sync) return false
    /** @type {Map<string, HeldEntry>} */
    const entries = new Map()
    let digest = 0
    for (const entry of kept) {
      const crc = crc32(entry.key)
      digest = (digest + share(crc, entry.revision)) >>> 0
      entries.set(entry.key, { ...entry, crc })
      if (this.newest === null || entry.updated_at > this.newest) this.newest = entry.updated_at
    }
    if (
      entries.size !== state.keys ||
      digest !== state.digest ||
      kept.some(({ revision }) => revision > state.revision)
    )
      return false
    this.#entries = entries
    this.#epoch = this.#dataSet = state.epoch
    this.#revision = state.revision
    this.#digest = digest
    const facts = kept.map(({ key, origin, revision }) => ({
      key,
      entry: entries.get(key),
      old: undefined,
      origin,
      revision,
      resync: true,
    }))
    if (facts.length > 0) this.#tell(facts)
    return true
  }

  /** Invalidate the position: the next sync is a full one. */
  distrust() {
    this.#forgetPosition()
  }

  /**
   * Start or restart a sync; return its first payload.
   * @returns {SyncPayload}
   */
  startSync() {
    this.#sync = { pages: [], held: this.#sync?.held ?? [], overflown: false }
    return this.#epoch === null ? {} : { epoch: this.#epoch, since: this.#revision }
  }

  /** Drop the sync in flight and the changes held back for it, after a lost connection. */
  dropSync() {
    this.#sync = null
  }

  /**
   * Take a page of the sync in flight. Returns the payload for the next page, or null if the sync is complete. After
   * the last page, a payload begins a new sync (`startSync` was called): the digest or a held change did not match.
   * @param {SyncPage} page
   * @returns {SyncPayload | null}
   */
  takePage(page) {
    const sync = /** @type {Sync} */ (this.#sync)
    const { pages } = sync
    const before = pages.at(-1)
    // The server answers an outdated `next` with a new first page: discard the collected pages.
    if (before && !follows(page, before)) pages.length = 0
    pages.push(page)
    return page.next === null || page.next === undefined ? this.#finish(sync) : { next: page.next }
  }

  /** @param {Sync} sync @param {Change} change @returns {"held"} */
  #hold(sync, change) {
    if (sync.held.length < MOST_HELD) sync.held.push(change)
    else sync.overflown = true
    return "held"
  }

  /** @param {Sync} sync @returns {SyncPayload | null} */
  #finish({ pages, held, overflown }) {
    const last = /** @type {SyncPage} */ (pages.at(-1))
    const reset = pages[0].reset
    const writes = pages.flatMap((page) => page.writes)
    const outcome = this.#outcome(writes, reset ? -1 : this.#revision, reset)
    this.#sync = null
    const proved = last.keys === undefined || this.#proves(last, outcome.keys, outcome.digest)
    if (!proved) {
      this.#differs()
      // After a full sync there is no better source; the next bookmark compares again.
      if (!reset) return this.startSync()
    } else if (last.keys !== undefined) this.proofs += 1
    this.#epoch = this.#dataSet = last.epoch
    this.#commit(outcome, last.revision, true)
    return this.#applyHeld(held) && !overflown ? null : this.startSync()
  }

  /** @param {Change[]} held */
  #applyHeld(held) {
    return held.every((change) => this.apply(change) !== "lost")
  }

  /**
   * Compute the effect of these writes: the new entry of each touched key, the digest and the number of keys.
   * @param {WriteFrame[]} writes
   * @param {number} after
   * @param {boolean} reset
   * @returns {Outcome}
   */
  #outcome(writes, after, reset) {
    /** @type {Outcome["touched"]} */
    const touched = new Map()
    let digest = reset ? 0 : this.#digest
    let keys = reset ? 0 : this.keys
    for (const write of writes) {
      if (write.revision <= after) continue
      if (this.newest === null || write.at > this.newest) this.newest = write.at
      for (const op of write.ops) {
        const held = this.#entries.get(op.key)
        const old = touched.has(op.key) ? touched.get(op.key)?.entry : reset ? undefined : held
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

  /** @param {Outcome} outcome @param {number} revision @param {boolean} resync */
  #commit({ touched, digest, reset }, revision, resync) {
    /** @type {Fact[]} */
    const facts = []
    /** @type {(key: string, entry?: HeldEntry, write?: WriteFrame) => void} */
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

  /** @param {Bookmark | SyncPage} proof @param {number} keys @param {number} digest */
  #proves(proof, keys, digest) {
    return proof.keys === keys && proof.digest === digest
  }

  /** @returns {"different"} */
  #differs() {
    this.differences += 1
    this.#forgetPosition()
    return "different"
  }

  /**
   * Invalidate the position: only a full sync restores it. The entries stay until it is complete.
   * @returns {"lost"}
   */
  #forgetPosition() {
    this.#epoch = null
    return "lost"
  }
}

/** @param {SyncPage} page @param {SyncPage} before */
function follows(page, before) {
  return page.epoch === before.epoch && page.from === before.revision && page.reset === before.reset
}

/** @param {Entry} a @param {Entry} b */
function sameEntry(a, b) {
  return a.revision === b.revision && a.updated_at === b.updated_at && same(a.value, b.value)
}

/** @param {SetOp} op @param {WriteFrame} write @param {HeldEntry | undefined} old @returns {HeldEntry} */
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
