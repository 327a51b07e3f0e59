// The IndexedDB store of one user's space in this browser: the entries with their position, and the unacknowledged
// writes. Entries and position change in one transaction, so the position is never ahead of the entries. Independent of
// replicas and connections. Every failure rejects; the caller then continues without the store.

/**
 * @import { Entry, HeldEntry } from "../replica.js"
 * @import { StoredRecord } from "./persistence.js"
 */
/** @typedef {{ epoch: string, revision: number, keys: number, digest: number, at: number, user?: string }} StoredState */
/** @typedef {Map<string, HeldEntry | undefined>} Changes The changed entries by their keys; undefined once deleted. */
/** @typedef {"kept" | "ahead" | "behind" | "other"} Outcome */

const NAME = "realtime_kv"
const VERSION = 1
const OLDEST = 30 * 86_400_000 // for this time a write waits for its user to sign in again
const PAGE = 2_000 // entries read or written at once, so that a page stays responsive

export class Store {
  #db
  #user

  /**
   * Open the store for this user. The entries of another user are deleted, but their pending writes stay.
   * @param {string} user
   */
  static async open(user) {
    const db = await opened()
    const store = new Store(db, user)
    if ((await store.#owner()) !== user) await store.#begin()
    return store
  }

  /** @param {IDBDatabase} db @param {string} user */
  constructor(db, user) {
    this.#db = db
    this.#user = user
    db.onclose = () => (this.closed = true)
    // Another page deletes or upgrades the database: do not block it.
    db.onversionchange = () => this.close()
  }

  /** Whether the store is closed. */
  closed = false

  /**
   * Load {state: {epoch, revision, keys, digest, at}, entries} of one moment, or null if nothing is stored.
   * @returns {Promise<{ state: StoredState, entries: Entry[] } | null>}
   */
  async load() {
    const tx = this.#db.transaction(["state", "entries"])
    const state = await answered(tx.objectStore("state").get("state"))
    if (state?.epoch === undefined || state.user !== this.#user) return null
    /** @type {Entry[]} */
    const entries = []
    for (let range = /** @type {IDBKeyRange | null} */ (null); ; ) {
      const page = await answered(tx.objectStore("entries").getAll(range, PAGE))
      entries.push(...page)
      if (page.length < PAGE) return { state, entries }
      range = IDBKeyRange.lowerBound(page.at(-1).key, true)
    }
  }

  /**
   * Save `state` and the `changes` (key → entry, or undefined once deleted) since revision `since` that led to it.
   * Resolves to "kept"; "ahead" if another tab has saved a later state; "behind" if the stored state is older than
   * `since` or of another epoch: then call `saveAll`; "other" if the store belongs to another user now.
   * @param {StoredState} state
   * @param {Changes} changes
   * @param {number} since
   */
  async save(state, changes, since) {
    return this.#saving(state, async (kept, entries) => {
      if (kept.epoch !== state.epoch || kept.revision < since) return "behind"
      if (kept.revision > state.revision) return "ahead"
      for (const [key, entry] of changes) if (!entry) entries.delete(key)
      await put(
        entries,
        [...changes.values()].filter((entry) => entry !== undefined),
      )
      return "kept"
    })
  }

  /**
   * Replace the stored data by `state` and its entries, an array.
   * @param {StoredState} state
   * @param {HeldEntry[]} every
   */
  async saveAll(state, every) {
    return this.#saving(state, async (_, entries) => {
      entries.clear()
      for (let i = 0; i < every.length; i += PAGE) await put(entries, every.slice(i, i + PAGE))
      return "kept"
    })
  }

  /** Delete the entries; the pending writes stay. */
  async drop() {
    const tx = this.#db.transaction(["state", "entries"], "readwrite")
    tx.objectStore("entries").clear()
    tx.objectStore("state").put({ user: this.#user }, "state")
    return finished(tx)
  }

  /** @param {StoredState} state @param {(kept: StoredState, entries: IDBObjectStore) => Promise<Outcome>} write */
  async #saving(state, write) {
    const tx = this.#db.transaction(["state", "entries"], "readwrite")
    const done = finished(tx)
    const kept = await answered(tx.objectStore("state").get("state"))
    const outcome = kept?.user === this.#user ? await write(kept, tx.objectStore("entries")) : "other"
    if (outcome === "kept") tx.objectStore("state").put({ ...state, user: this.#user }, "state")
    await done
    return outcome
  }

  /**
   * Load the pending writes, oldest first: [{op_id, tab, at, verb, payload, keys, prefixes, before, quarantined}].
   * @returns {Promise<StoredRecord[]>}
   */
  async writes() {
    const kept = await answered(this.#db.transaction("outbox").objectStore("outbox").getAll())
    return kept.filter(({ user }) => user === this.#user).sort((a, b) => a.at - b.at || a.number - b.number)
  }

  /**
   * Store the writes `add` and delete the op_ids `drop`. Rejects if the store belongs to another user now.
   * @param {StoredRecord[]} add
   * @param {string[]} drop
   */
  async change(add, drop) {
    const tx = this.#db.transaction(["state", "outbox"], "readwrite")
    const outbox = tx.objectStore("outbox")
    const owner = await answered(tx.objectStore("state").get("state"))
    if (owner?.user !== this.#user) throw new Error("this is kept for somebody else")
    for (const write of add) outbox.put({ ...write, user: this.#user })
    for (const id of drop) outbox.delete(id)
    return finished(tx)
  }

  /**
   * Assign to `tab` those of the writes that still belong to the tab they name; resolves to their op_ids.
   * @param {StoredRecord[]} writes
   * @param {string} tab
   * @returns {Promise<Set<string>>}
   */
  async claim(writes, tab) {
    const tx = this.#db.transaction("outbox", "readwrite")
    const outbox = tx.objectStore("outbox")
    /** @type {Set<string>} */
    const claimed = new Set()
    for (const write of writes) {
      const kept = await answered(outbox.get(write.op_id))
      if (kept?.tab !== write.tab) continue
      outbox.put({ ...kept, tab })
      claimed.add(write.op_id)
    }
    await finished(tx)
    return claimed
  }

  /**
   * Delete this user's data. With `writes`, keep the stored pending writes and store these as well.
   * @param {StoredRecord[] | null} writes
   */
  async forget(writes = null) {
    if ((await this.#owner()) === this.#user) await this.#begin()
    const tx = this.#db.transaction("outbox", "readwrite")
    const outbox = tx.objectStore("outbox")
    if (writes === null) {
      const kept = await answered(outbox.getAll())
      for (const { op_id } of kept.filter(({ user }) => user === this.#user)) outbox.delete(op_id)
    } else for (const write of writes) outbox.put({ ...write, user: this.#user })
    return finished(tx)
  }

  close() {
    this.closed = true
    this.#db.close()
  }

  /** @returns {Promise<string | undefined>} */
  async #owner() {
    return (await answered(this.#db.transaction("state").objectStore("state").get("state")))?.user
  }

  /** Delete everything but the pending writes, of which those older than OLDEST go, and make the store this user's. */
  async #begin() {
    const tx = this.#db.transaction(["state", "entries", "outbox"], "readwrite")
    for (const name of ["state", "entries"]) tx.objectStore(name).clear()
    tx.objectStore("state").put({ user: this.#user }, "state")
    const outbox = tx.objectStore("outbox")
    const old = Date.now() - OLDEST
    for (const { op_id, at } of await answered(outbox.getAll())) if (at < old) outbox.delete(op_id)
    return finished(tx)
  }
}

function opened() {
  const request = indexedDB.open(NAME, VERSION)
  request.onupgradeneeded = () => {
    const db = request.result
    for (const name of db.objectStoreNames) db.deleteObjectStore(name)
    db.createObjectStore("state")
    db.createObjectStore("entries", { keyPath: "key" })
    db.createObjectStore("outbox", { keyPath: "op_id" })
  }
  return answered(request)
}

/** @template T @param {IDBRequest<T> & { onblocked?: any }} request @returns {Promise<T>} */
function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
    request.onblocked = () => reject(new Error("another tab holds an older version"))
  })
}

/** @param {IDBTransaction} tx @returns {Promise<void>} */
function finished(tx) {
  /** @type {Promise<void>} */
  const done = new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve()
    tx.onabort = () => reject(tx.error ?? new Error("aborted"))
  })
  done.catch(() => {}) // a request of the transaction has already rejected
  return done
}

/**
 * Put entries; resolves when the last is stored: the page stays responsive, and the transaction stays active.
 * @param {IDBObjectStore} entries
 * @param {HeldEntry[]} page
 */
function put(entries, page) {
  /** @type {IDBRequest | null} */
  let last = null
  for (const { crc: _, ...entry } of page) last = entries.put(entry)
  return last ? answered(last) : null
}
