// What this browser keeps of one user's space, in IndexedDB: the entries with the position that they stand for, and the writes
// that are not acknowledged. Entries and position change in one transaction, so the position is never ahead of the entries. Knows
// nothing of replicas and connections. Whatever fails rejects; the caller then goes on without.

const NAME = "realtime_kv"
const VERSION = 1
const OLDEST = 30 * 86_400_000 // so long a write waits for its user to sign in again
const PAGE = 2_000 // entries read or written at once, so that a page stays responsive

export class Store {
  #db
  #user

  /** Opens what is kept for this user; the entries of another one are thrown away, but the writes that wait for them stay. */
  static async open(user) {
    const db = await opened()
    const store = new Store(db, user)
    if ((await store.#owner()) !== user) await store.#begin()
    return store
  }

  constructor(db, user) {
    this.#db = db
    this.#user = user
    db.onclose = () => (this.closed = true)
    // Somebody throws it away: do not stand in the way.
    db.onversionchange = () => this.close()
  }

  /** Whether there is nothing to be kept here any more. */
  closed = false

  /** {state: {epoch, revision, keys, digest, at}, entries} as they stood at one moment, or null when there is nothing. */
  async load() {
    const tx = this.#db.transaction(["state", "entries"])
    const state = await answered(tx.objectStore("state").get("state"))
    if (state?.epoch === undefined || state.user !== this.#user) return null
    const entries = []
    for (let range = null; ; ) {
      const page = await answered(tx.objectStore("entries").getAll(range, PAGE))
      entries.push(...page)
      if (page.length < PAGE) return { state, entries }
      range = IDBKeyRange.lowerBound(page.at(-1).key, true)
    }
  }

  /**
   * Keeps `state` and the `changes` (key → entry, or undefined once deleted) since revision `since` that led to it. Resolves to
   * "kept"; "ahead" when another tab has kept more already; "behind" when what is kept does not reach to `since`, or is of another
   * epoch: then `saveAll`; "other" when it has become another user's.
   */
  async save(state, changes, since) {
    return this.#saving(state, async (kept, entries) => {
      if (kept.epoch !== state.epoch || kept.revision < since) return "behind"
      if (kept.revision > state.revision) return "ahead"
      for (const [key, entry] of changes) if (!entry) entries.delete(key)
      await put(entries, [...changes.values()].filter(Boolean))
      return "kept"
    })
  }

  /** Keeps `state` and its entries, an array, instead of whatever is kept. */
  async saveAll(state, every) {
    return this.#saving(state, async (_, entries) => {
      entries.clear()
      for (let i = 0; i < every.length; i += PAGE) await put(entries, every.slice(i, i + PAGE))
      return "kept"
    })
  }

  /** Drops the entries; the writes that wait stay. */
  async drop() {
    const tx = this.#db.transaction(["state", "entries"], "readwrite")
    tx.objectStore("entries").clear()
    tx.objectStore("state").put({ user: this.#user }, "state")
    return finished(tx)
  }

  async #saving(state, write) {
    const tx = this.#db.transaction(["state", "entries"], "readwrite")
    const done = finished(tx)
    const kept = await answered(tx.objectStore("state").get("state"))
    const outcome = kept?.user === this.#user ? await write(kept, tx.objectStore("entries")) : "other"
    if (outcome === "kept") tx.objectStore("state").put({ ...state, user: this.#user }, "state")
    await done
    return outcome
  }

  /** The writes that wait, oldest first: [{op_id, tab, at, verb, payload, keys, prefixes, before, quarantined}]. */
  async writes() {
    const kept = await answered(this.#db.transaction("outbox").objectStore("outbox").getAll())
    return kept.filter(({ user }) => user === this.#user).sort((a, b) => a.at - b.at || a.number - b.number)
  }

  /** Keeps these writes and drops those with these op_ids. Resolves once that is so, and rejects when another user has come. */
  async change(add, drop) {
    const tx = this.#db.transaction(["state", "outbox"], "readwrite")
    const outbox = tx.objectStore("outbox")
    const owner = await answered(tx.objectStore("state").get("state"))
    if (owner?.user !== this.#user) throw new Error("this is kept for somebody else")
    for (const write of add) outbox.put({ ...write, user: this.#user })
    for (const id of drop) outbox.delete(id)
    return finished(tx)
  }

  /** Makes those of these writes that are still `from`'s the tab's own; resolves to their op_ids. */
  async claim(writes, tab) {
    const tx = this.#db.transaction("outbox", "readwrite")
    const outbox = tx.objectStore("outbox")
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

  /** Throws away what is kept of this user; `writes`, if given, are kept instead of those that were. */
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

  async #owner() {
    return (await answered(this.#db.transaction("state").objectStore("state").get("state")))?.user
  }

  /** Nothing is kept any more but the writes that wait, and it is this user's from now on. */
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

function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
    request.onblocked = () => reject(new Error("another tab holds an older version"))
  })
}

function finished(tx) {
  const done = new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve()
    tx.onabort = () => reject(tx.error ?? new Error("aborted"))
  })
  done.catch(() => {}) // a request of it has told already
  return done
}

/** Resolves when the last of them is in: then the page may breathe, and the transaction lives on. */
function put(entries, page) {
  let last = null
  for (const { crc: _, ...entry } of page) last = entries.put(entry)
  return last ? answered(last) : null
}
