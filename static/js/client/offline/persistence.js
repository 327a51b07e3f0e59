// Persistence: stores the replica's entries and the outbox in this browser; the entries at most once a second, the
// outbox at once if there is no connection. Another tab sends the stored writes of a closed tab; every write has its
// `op_id`, so sending it twice does no harm. If storage fails, or belongs to another user now, the client continues
// without it.

import { Store } from "./indexed-db.js"

/**
 * @import { Timer } from "../connection.js"
 * @import { Outbox, PendingWrite, StoredWrite } from "../outbox.js"
 * @import { Entry, Fact, Replica } from "../replica.js"
 * @import { Changes } from "./indexed-db.js"
 */
/**
 * A pending write as stored; `before`: the entry that it replaces.
 * @typedef {StoredWrite & {
 *   op_id: string, tab: string, number: number, before: Entry | null, quarantined: boolean, user?: string
 * }} StoredRecord
 */
/**
 * @typedef {{
 *   user: string, tab: string, replica: Replica, outbox: Outbox, live(): boolean,
 *   told(name: string, detail: object): void, adopt(write: StoredRecord): void
 * }} Parts
 */

const SAVE_EVERY = 1_000
const PROVE_EVERY = 20_000 // interval of renewing the time at which the stored entries were last known to be complete
const LOOK_EVERY = 15_000 // interval of looking for writes of closed tabs
const NOBODY = "" // a tab id that no tab has: the next tab takes over its writes
const SENT_SOON = 300 // a write that is acknowledged within this time need not be stored

export class Persistence {
  /** @type {Store | null} */
  #store
  #parts
  #tab
  /** @type {{ epoch: string | null, revision: number, differences: number }} */
  #saved = { epoch: null, revision: 0, differences: 0 } // the stored position, which #changes follow
  /** @type {Changes} */
  #changes = new Map() // key → entry, or undefined once deleted: since the stored position
  #at = Date.now() // when the replica was last known to be complete
  #saving = false
  #unfit = false // whether entries cannot be stored here
  /** @type {Timer | undefined} */
  #timer
  /** @type {Map<string, StoredRecord>} */
  #outbox = new Map() // op_id → the write as stored
  /** @type {Timer | undefined} */
  #writing
  #number = 0
  #looks
  #proves

  /**
   * Open the store for `parts`: {user, tab, replica, outbox, live(), told(name, detail), adopt(write)}, and fill an
   * empty replica with the stored entries, if they match their digest.
   * @param {Parts} parts
   */
  static async open(parts) {
    const kept = new Persistence(await Store.open(parts.user), parts)
    try {
      await kept.#fill()
      await kept.#announce()
      await kept.adopt()
    } catch (error) {
      await kept.end()
      throw error
    }
    kept.pendingChanged()
    kept.#soon(0)
    return kept
  }

  /** @param {Store} store @param {Parts} parts */
  constructor(store, parts) {
    this.#store = store
    this.#parts = parts
    this.#tab = parts.tab
    this.#looks = setInterval(() => this.adopt().catch(() => {}), LOOK_EVERY)
    this.#proves = setInterval(() => parts.live() && this.#soon(0), PROVE_EVERY)
    document.addEventListener("visibilitychange", this.#hidden)
  }

  /** Whether every pending write would survive a reload. */
  get holdsAll() {
    return this.#isOpen && this.#hasStoredAll
  }

  /** Whether the pending writes are stored, or can still be stored, when the session has ended. */
  get outlastsSession() {
    return this.#isOpen || this.#hasStoredAll
  }

  get #isOpen() {
    return this.#store !== null && !this.#store.closed
  }

  get #hasStoredAll() {
    return this.#parts.outbox.pending.every(({ payload }) => this.#outbox.has(payload.op_id))
  }

  /**
   * The replica has changed: save its facts soon.
   * @param {Fact[]} facts
   */
  changed(facts) {
    for (const { key, entry } of facts) this.#changes.set(key, entry)
    this.#soon(SAVE_EVERY)
  }

  /** The outbox has changed: save it. */
  pendingChanged() {
    if (!this.#store || this.#writing) return
    this.#writing = setTimeout(() => this.#writeOutbox(), this.#parts.live() ? SENT_SOON : 0)
  }

  /** Take over the unsent writes of closed tabs. */
  async adopt() {
    const writes = (await this.#store?.writes()) ?? []
    const others = writes.filter(({ tab }) => tab !== this.#tab)
    if (others.length === 0) return
    const alive = await living()
    const orphans = others.filter(({ tab }) => !alive.has(tab))
    const claimed = await this.#store?.claim(orphans, this.#tab)
    for (const write of orphans.filter(({ op_id }) => claimed?.has(op_id))) {
      this.#outbox.set(write.op_id, write)
      this.#parts.adopt(write)
    }
  }

  /**
   * End persistence. With `forgetting`, delete the stored data; with `keepWrites` as well, keep the pending writes: the
   * next page of this user sends them.
   */
  async end({ forgetting = false, keepWrites = false } = {}) {
    clearInterval(this.#looks)
    clearInterval(this.#proves)
    clearTimeout(this.#timer)
    clearTimeout(this.#writing)
    document.removeEventListener("visibilitychange", this.#hidden)
    const store = this.#store
    this.#store = null
    // Read now: the outbox is about to be emptied.
    const left = keepWrites ? this.#waiting.map((write) => ({ ...write, tab: NOBODY })) : null
    if (forgetting) await store?.forget(left).catch(() => {})
    store?.close()
  }

  /**
   * The pending and quarantined writes, as they are stored: [{op_id, …}].
   * @returns {StoredRecord[]}
   */
  get #waiting() {
    const { pending, quarantined } = this.#parts.outbox
    /** @type {(writes: PendingWrite[], flag: boolean) => StoredRecord[]} */
    const records = (writes, flag) =>
      writes.map((write) => this.#record(write.payload.op_id, { ...write, quarantined: flag }))
    return [...records(pending, false), ...records(quarantined, true)]
  }

  async #fill() {
    const kept = await this.#store?.load()
    if (!kept) return
    const { epoch, revision, keys, digest, at } = kept.state
    const { replica, told } = this.#parts
    if (replica.epoch !== null || replica.syncing) return
    if (!replica.fill({ epoch, revision, keys, digest }, kept.entries)) return this.#store?.drop()
    this.#at = at
    this.#saved = { epoch, revision, differences: replica.differences }
    told("restored", { at })
  }

  async #announce() {
    if (!navigator.locks) return answerRollCalls(this.#tab)
    await /** @type {Promise<void>} */ (
      new Promise((held) => {
        // The lock is held as long as this page lives: other tabs see it.
        navigator.locks
          .request(lockOf(this.#tab), () => {
            held()
            return new Promise(() => {})
          })
          .catch(held)
      })
    )
  }

  #hidden = () => {
    if (document.visibilityState !== "hidden") return
    this.#soon(0)
    this.#writeOutbox()
  }

  /** @param {number} milliseconds */
  #soon(milliseconds) {
    if (!this.#store || this.#unfit || this.#saving || (this.#timer && milliseconds > 0)) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#save(), milliseconds)
  }

  async #save() {
    this.#timer = undefined
    const { replica } = this.#parts
    // Without an epoch the position of the entries is unknown; a sync is in progress.
    if (!this.#store || this.#saving || replica.epoch === null) return
    this.#saving = true
    try {
      await this.#saveNow()
    } catch {
      // The quota is exceeded, for example: without the entries the pending writes may still fit.
      this.#unfit = true
      await this.#store?.drop().catch(() => {})
    }
    this.#saving = false
    if (this.#changes.size > 0) this.#soon(SAVE_EVERY)
  }

  /** Save the changes, or everything. The state is read from the replica before the first await. */
  async #saveNow() {
    const { replica, live } = this.#parts
    const { epoch, revision, differences } = replica
    if (live()) this.#at = Date.now()
    const state = {
      epoch: /** @type {string} */ (epoch),
      revision,
      keys: replica.keys,
      digest: replica.digest,
      at: this.#at,
    }
    const changes = this.#changes
    this.#changes = new Map()
    const follows = this.#saved.epoch === epoch && this.#saved.differences === differences
    let outcome = follows ? await this.#store?.save(state, changes, this.#saved.revision) : "behind"
    if (outcome === "behind") outcome = await this.#saveAll()
    else this.#saved = { epoch, revision, differences }
    if (outcome === "other") await this.end()
  }

  async #saveAll() {
    const { epoch, revision, differences, keys, digest, entries } = this.#parts.replica
    this.#changes = new Map()
    this.#saved = { epoch, revision, differences }
    return this.#store?.saveAll({ epoch: /** @type {string} */ (epoch), revision, keys, digest, at: this.#at }, [
      ...entries.values(),
    ])
  }

  async #writeOutbox() {
    this.#writing = undefined
    if (!this.#store) return
    const wanted = new Map(this.#waiting.map((write) => [write.op_id, write]))
    /** @type {(write: StoredRecord) => boolean} */
    const isKept = ({ op_id, quarantined }) =>
      this.#outbox.has(op_id) && Boolean(this.#outbox.get(op_id)?.quarantined) === quarantined
    const add = [...wanted.values()].filter((write) => !isKept(write))
    const drop = [...this.#outbox.keys()].filter((id) => !wanted.has(id))
    if (add.length === 0 && drop.length === 0) return
    try {
      await this.#store.change(add, drop)
      for (const write of add) this.#outbox.set(write.op_id, write)
      for (const id of drop) this.#outbox.delete(id)
      this.pendingChanged()
    } catch {
      // The writes then live in this tab alone, and closing it asks for confirmation.
    }
  }

  /** @param {string} op_id @param {StoredWrite & { quarantined: boolean }} write @returns {StoredRecord} */
  #record(op_id, { verb, payload, keys, prefixes, epoch, at, quarantined }) {
    const known = this.#outbox.get(op_id)
    if (known) return { ...known, quarantined }
    const held = this.#parts.replica.entries.get(payload.key)
    const { crc: _, ...entry } = held ?? {}
    const before = held && held.revision === payload.if_revision ? /** @type {Entry} */ (entry) : null
    const rest = { verb, payload, keys, prefixes, epoch, before, quarantined }
    return { op_id, tab: this.#tab, at, number: ++this.#number, ...rest }
  }
}

// --- open tabs ---

/** @param {string} tab */
const lockOf = (tab) => `realtime_kv tab ${tab}`

/** @returns {Promise<Set<string>>} */
async function living() {
  if (!navigator.locks) return rollCall()
  const { held = [] } = await navigator.locks.query()
  return new Set(held.map(({ name = "" }) => name.replace(/^realtime_kv tab /, "")))
}

// Without locks (plain HTTP), tabs answer a broadcast.
const CHANNEL = "realtime_kv tabs"
const ANSWER_WITHIN = 500

/** @param {string} tab */
function answerRollCalls(tab) {
  const channel = new BroadcastChannel(CHANNEL)
  channel.onmessage = ({ data }) => data === "who is there?" && channel.postMessage(tab)
}

/** @returns {Promise<Set<string>>} */
async function rollCall() {
  const channel = new BroadcastChannel(CHANNEL)
  const there = new Set()
  channel.onmessage = ({ data }) => there.add(data)
  channel.postMessage("who is there?")
  await new Promise((done) => setTimeout(done, ANSWER_WITHIN))
  channel.close()
  return there
}
