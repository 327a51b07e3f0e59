// The client: combines replica, outbox and connection, and exposes them as values, promises and events.
// Longer than 320 lines: the methods of one object, each with its contract.

import { io, WebSocket } from "../vendor/socket.io.esm.min.js"
import { Connection } from "./connection.js"
import { KeyChange, visible } from "./key-change.js"
import { sortKeys } from "./keys.js"
import { Liveness } from "./liveness.js"
import { Outbox, Refusal } from "./outbox.js"
import { OwnWrites } from "./own-writes.js"
import { Polling } from "./polling.js"
import { Replica } from "./replica.js"
import { parts } from "./sizes.js"
import { Verbs } from "./verbs.js"

/**
 * @import { State, Tab } from "./connection.js"
 * @import { Json } from "./json-values.js"
 * @import { Persistence, StoredRecord } from "./offline/persistence.js"
 * @import { Payload, PendingWrite, StoredWrite } from "./outbox.js"
 * @import { Entry, Fact, HeldEntry } from "./replica.js"
 * @import { Limits } from "./sizes.js"
 */
/**
 * The `detail` of each event; see `Client`.
 * @typedef {{
 *   change: { facts: KeyChange[] },
 *   state: { state: State, reason: string | null },
 *   presence: { tabs: Tab[] },
 *   pending: object,
 *   quarantined: { write: StoredWrite },
 *   notice: { kind: string, message: string },
 *   healed: { differences: number },
 *   outdated: { version: string, build: string },
 *   restored: { at: number },
 *   adopted: { write: StoredRecord, settled: Promise<any> },
 * }} EventDetails
 */
/**
 * @typedef {{
 *   addEventListener<Name extends keyof EventDetails>(
 *     name: Name, listener: (event: CustomEvent<EventDetails[Name]>) => void, options?: AddEventListenerOptions
 *   ): void
 * } & EventTarget} Events
 */
/** @typedef {{ keepWrites?: boolean }} ForgetOptions */
/** @typedef {{ matches(key: string): boolean, fn(change: KeyChange): void }} Watcher */
/** @typedef {{ id: string, label: string }} Session */
/**
 * The server's answer to the event `identify`.
 * @typedef {{
 *   user: { username: string }, session: Session, limits: Limits,
 *   server: { version: string, build: string, time: string }
 * }} Identity
 */

const STORAGE_WITHIN = 3_000
// Maximum of tabs of one browser that poll at once: a browser opens six connections to a server, and pages need some.
const MOST_POLLING = 3
const SOON = 1_000
const KEPT = "You were signed out before this was written. It is kept in this browser, and sent when you sign in again."
const STAY_SIGNED_OUT = ["signed_out", "deleted"] // after these nothing is kept: the data was meant to be removed
const MOST_KEPT = 100 // maximum of pending writes while persistence is on

/**
 * The client that `connect` of `/rkv.js` resolves to. The constructor does not wait for the connection.
 *
 * Events (`kv.addEventListener`), each with its `detail`: `change` {facts}, `state` {state, reason}, `presence` {tabs},
 * `pending`, `quarantined` {write}, `notice` {kind, message}, `healed`, `outdated` {version, build}: the server runs
 * another version than this page was loaded from; offer a reload.
 */
export class Client extends Verbs {
  #replica
  #outbox
  #connection
  #own
  /** @type {Set<Watcher>} */
  #watchers = new Set()
  #base
  /** @type {string | null} */
  #user = null
  /** @type {Persistence | null} */
  #kept = null
  /** @type {Promise<Persistence> | null} */
  #keeping = null
  /** @type {ForgetOptions | null} */
  #forgotten = null // {keepWrites}, once persistence has ended
  /** @type {string | null} */
  #build
  #byCookie
  #liveness
  #checking = false // whether a check of this page's origin is under way
  /** @type {Refusal | null} */
  #failed = null // the Refusal that stopped this client for good

  /**
   * Resolves to this client once it is live for the first time.
   * @type {Promise<Client>}
   */
  ready

  /**
   * `user`: the name that the page was made for; a session of another user then counts as signed out. `keep`: load the
   * user's persisted entries before connecting (see `keep`). `build`: the build of the server which the page was loaded
   * from, if known; default: that of the first server connected to.
   *
   * @param {{ url?: string, token?: string, user?: string, keep?: boolean, build?: string | null }} options
   */
  constructor({ url, token, user, keep = false, build = null } = {}) {
    super({
      put: (...write) => this.#put(...write),
      ask: (verb, payload) => this.#ask(verb, payload),
      keys: (prefix) => this.keys(prefix),
    })
    this.#base = new URL(url ?? import.meta.url).origin
    this.#user = user ?? null
    this.#build = build
    this.#byCookie = !token
    const socket = io(this.#base, {
      autoConnect: false,
      transports: [WebSocket, Polling],
      tryAllTransports: true,
      timeout: 8_000, // for a transport to open, in a page that is still loading
      reconnectionDelay: 250,
      reconnectionDelayMax: 1_500,
      ...(token ? { auth: { token } } : {}),
    })
    this.#replica = new Replica((facts) => this.#changed(facts))
    this.#outbox = new Outbox({
      send: (verb, payload, answered) => this.#connection.send(verb, payload, answered),
      later: (seconds, fn) => cancellable(setTimeout(fn, seconds * 1_000)),
      makeId,
      changed: () => {
        this.#emit("pending")
        this.#kept?.pendingChanged()
        if (this.#outbox.pending.length > 0) this.#connection.wake()
      },
      ended: () => this.#connection.sessionEnded(),
      quarantines: (write) => this.#emit("quarantined", { write }),
      held: this.#replica,
      now: () => Date.now() - this.clockAhead,
    })
    this.#own = new OwnWrites(this.#replica, this.#outbox)
    this.#connection = new Connection({
      socket,
      replica: this.#replica,
      outbox: this.#outbox,
      tell: (name, detail) => this.#told(name, detail),
      identify: (answer) => this.#identify(answer),
      renews: !token,
      crowded: () => this.#ownTabs > MOST_POLLING,
    })
    this.#liveness = new Liveness(this.#connection)
    this.ready = this.#whenLive()
    socket.on("connect_error", () => this.#checkOrigin())
    this.#open(keep)
  }

  /** The number of this browser's tabs on this server, as far as it is known. */
  get #ownTabs() {
    return (this.tabs ?? []).filter(({ session }) => session === this.session?.id).length
  }

  /**
   * Check whether the server refuses this page's origin. Browsers do not report that to a page, so a client that has
   * never been connected asks.
   */
  async #checkOrigin() {
    if (this.#checking || this.#own.session !== null || globalThis.location?.origin === this.#base) return
    this.#checking = true
    const refusal = await import("./origin.js").then(
      ({ originRefused }) => originRefused(this.#base),
      () => null,
    )
    this.#checking = false
    if (refusal && this.#own.session === null) this.#fail(refusal)
  }

  /**
   * Stop for good with this refusal.
   * @param {Refusal} refusal
   */
  #fail(refusal) {
    this.#liveness.close()
    this.#connection.close(refusal)
    this.#failed = refusal
    this.#emit("state", { state: this.state, reason: this.reason })
  }

  /** @param {boolean} keep */
  async #open(keep) {
    // Storage that does not answer must not delay the connection for longer.
    if (keep) await Promise.race([this.keep(), new Promise((go) => setTimeout(go, STORAGE_WITHIN))]).catch(() => {})
    this.#connection.open()
  }

  /**
   * Persist this tab's entries and pending writes in this browser for this `user`, until they sign out, and load the
   * entries that were persisted before. Events: `restored` {at} (milliseconds) when entries were loaded; `adopted`
   * {write, settled} for each write that a closed tab left behind, with the promise of its answer. Rejects if this
   * browser cannot persist.
   */
  async keep() {
    // The store holds one user's entries: opening it without a user would delete theirs.
    const user = this.#user
    if (user === null) throw new TypeError("keep: for which user?")
    this.#keeping ??= import("./offline/persistence.js").then(({ Persistence }) =>
      Persistence.open({
        user,
        tab: makeId(),
        replica: this.#replica,
        outbox: this.#outbox,
        live: () => this.state === "live",
        told: (name, detail) => this.#emit(name, detail),
        adopt: (write) => this.#adopt(write),
      }),
    )
    this.#kept = await this.#keeping
    // The user may have signed out meanwhile: remove their data.
    if (this.#forgotten || this.state === "signed out") await this.forget(this.#forgotten ?? this.#whenSignedOut)
  }

  /** The options of `forget` when the session has ended: kept writes are sent when the same user signs in again. */
  get #whenSignedOut() {
    return { keepWrites: !STAY_SIGNED_OUT.includes(this.reason ?? "") }
  }

  /** Whether the pending writes would survive a reload. */
  get keepsPending() {
    return this.#kept?.holdsAll ?? false
  }

  /** Once signed out: whether this browser keeps the pending writes, to send them when the same user signs in again. */
  keepsAfterSignOut = false

  /**
   * End persistence and delete the persisted data; with `keepWrites`, keep the pending writes.
   * @param {ForgetOptions} options
   */
  async forget({ keepWrites = false } = {}) {
    const kept = this.#kept
    this.#forgotten ??= { keepWrites }
    this.#kept = null
    await kept?.end({ forgetting: true, keepWrites })
  }

  /**
   * `live`, `catching up`, `offline` or `signed out`. Only `live` guarantees that no change is missing.
   * @returns {State}
   */
  get state() {
    return this.#connection.state
  }

  /** The reason for `signed out`: the protocol's, `another_user`, or `unauthenticated` if unknown; else null. */
  get reason() {
    return this.#connection.reason
  }

  /**
   * The tabs of this user, [{id, session, label, since}], or null while unknown.
   * @returns {Tab[] | null}
   */
  get tabs() {
    return this.#connection.tabs
  }

  /** This tab's position: {epoch, revision}. */
  get position() {
    return { epoch: this.#replica.epoch, revision: this.#replica.revision }
  }

  /** The epoch of this tab's entries, also while its position is unknown; null before the first entries. */
  get dataSet() {
    return this.#replica.dataSet
  }

  /** The number of times a bookmark or a sync showed a difference from the server, which was then repaired. */
  get healed() {
    return this.#connection.healed
  }

  /**
   * The last proof, by the digest of a bookmark or a sync, that this tab holds the same entries as the server:
   * {at (this machine's milliseconds), revision, keys}; null before that.
   * @returns {{ at: number, revision: number, keys: number } | null}
   */
  get proved() {
    return this.#connection.proved
  }

  /** The time of the newest write known to this tab, by the server's clock; null before the first one. */
  get lastChange() {
    return this.#replica.newest
  }

  /** `websocket` or `polling`; null while there is no connection. */
  get transport() {
    return this.#connection.transport
  }

  /** Check that the connection is alive and replace it if not. Happens by itself when the tab becomes visible. */
  async test() {
    await this.#connection.test()
  }

  /** Measure the round-trip time to the server, in milliseconds; rejects while there is no connection. */
  ping() {
    return this.#connection.ping()
  }

  /** Run a full resync. The present entries stay until it is complete. */
  resync() {
    this.#connection.resync()
  }

  /** The digest of this tab's entries: see `digest` in the protocol. */
  get digest() {
    return this.#replica.digest
  }

  /**
   * Return whether this tab made the write of this revision, as far back as it remembers.
   * @param {number} revision
   */
  wrote(revision) {
    return this.#own.wrote(revision)
  }

  /** The number of keys. */
  get size() {
    return this.#replica.keys
  }

  /** The writes that are not acknowledged yet, oldest first: [{verb, payload, keys, sent}]. They live in this tab. */
  get pending() {
    return this.#outbox.pending
  }

  /**
   * The writes whose sending has ended the connection twice, in the shape of `pending`. They are not sent by themselves
   * and stay until `retry` or `discard` is called with their `payload.op_id`. Their promise has been rejected with the
   * code `quarantined`. With `keep` they are persisted.
   */
  get quarantined() {
    return this.#outbox.quarantined
  }

  /**
   * Send a quarantined write again; resolves and rejects like the write itself. It is never written twice.
   * @param {string} opId
   * @returns {Promise<any>}
   */
  async retry(opId) {
    return this.#answer(this.#outbox.retry(opId))
  }

  /**
   * Drop a quarantined write.
   * @param {string} opId
   */
  discard(opId) {
    this.#outbox.discard(opId)
  }

  /**
   * Split work that is too large for one `batch`: yield arrays of ops for `batch`, each within the limits.
   * `opsOf(item)` returns the ops of one item; they stay in one batch. It is called when its batch is due: await each
   * `batch` before taking the next.
   * @template T
   * @param {Iterable<T>} items
   * @param {(item: T) => any[]} opsOf
   */
  parts(items, opsOf = (op) => [op]) {
    return parts(items, opsOf, this.#outbox.limits)
  }

  /** Milliseconds that this machine's clock is ahead of the server's, as far as it is known; see `identify`. */
  clockAhead = 0

  /** Whether the server runs another version than this page was loaded from: reload to update. See event `outdated`. */
  outdated = false

  /**
   * This tab's session, {id, label}, once known.
   * @returns {Session | null}
   */
  get session() {
    return this.#own.session
  }

  /**
   * Return the value of `key` from this tab's replica, or undefined if the key does not exist. It returns at once
   * (awaiting it does no harm). The value is one that the server has stored, and frozen: write with `set`.
   * @param {string} key
   * @returns {Json | undefined}
   */
  get(key) {
    return this.entry(key)?.value
  }

  /**
   * Return the entry {key, value, revision, version, updated_at, expires_at, origin} of the replica, or undefined.
   * @param {string} key
   * @returns {Entry | undefined}
   */
  entry(key) {
    return visible(this.#replica.entries.get(key))
  }

  /**
   * Return the replica's own entry without a copy, or undefined. Do not change it. For reading very many entries.
   * @param {string} key
   * @returns {HeldEntry | undefined}
   */
  held(key) {
    return this.#replica.entries.get(key)
  }

  /**
   * Return all entries whose keys begin with `prefix`, in byte order.
   * @returns {Entry[]}
   */
  entries(prefix = "") {
    return this.keys(prefix).map((key) => /** @type {Entry} */ (this.entry(key)))
  }

  /**
   * Return all keys that begin with `prefix`, in byte order.
   * @returns {string[]}
   */
  keys(prefix = "") {
    const keys = []
    for (const key of this.#replica.entries.keys()) if (key.startsWith(prefix)) keys.push(key)
    return sortKeys(keys)
  }

  /**
   * Get the entry from the server, with `created_at` and `created_revision`; rejects with a Refusal (`not_found`).
   * @param {string} key
   * @returns {Promise<Entry & { created_at: string, created_revision: number }>}
   */
  async fetch(key) {
    return (await this.#connection.call("get", { key })).entry
  }

  /**
   * Call `fn({key, value, entry, old, mine, origin, resync})` after every change of that key, or of every key with that
   * prefix if `pattern` ends in `*`. `value` and `entry` are undefined once deleted; `mine`: this tab wrote it;
   * `resync`: a sync found the change. Returns a function that ends the subscription.
   * @param {string} pattern
   * @param {(change: KeyChange) => void} fn
   * @returns {() => void}
   */
  on(pattern, fn) {
    const prefix = pattern.endsWith("*") ? pattern.slice(0, -1) : null
    /** @type {Watcher} */
    const watcher = { matches: prefix === null ? (key) => key === pattern : (key) => key.startsWith(prefix), fn }
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /**
   * Call `fn(state)` now and after every change of the state. Returns a function that ends the subscription.
   * @param {(state: State) => void} fn
   * @returns {() => void}
   */
  onState(fn) {
    const listener = () => fn(this.state)
    this.addEventListener("state", listener)
    fn(this.state)
    return () => this.removeEventListener("state", listener)
  }

  /** Close the connection. Pending writes are rejected; the entries stay readable as of now. */
  close() {
    this.#liveness.close()
    this.#connection.close()
  }

  /** @param {string} verb @param {Payload} payload */
  async #ask(verb, payload) {
    const { ok, ...answer } = await this.#connection.call(verb, payload)
    return answer
  }

  /** @param {string} verb @param {Payload} payload @param {string[]} keys @param {string[]} [prefixes] */
  async #put(verb, payload, keys, prefixes) {
    if (this.state === "signed out") throw new Refusal({ code: "unauthenticated", message: "You are signed out." })
    if (this.#kept && this.state !== "live" && this.#outbox.pending.length >= MOST_KEPT)
      throw new Refusal({
        code: "unavailable",
        message: `${MOST_KEPT} changes wait for the connection, which is as many as are kept. Save again when it is back.`,
      })
    return this.#write(verb, payload, keys, prefixes)
  }

  /** @param {Parameters<Outbox["put"]>} write */
  #write(...write) {
    return this.#answer(this.#outbox.put(...write))
  }

  /** @param {Promise<any>} answered */
  async #answer(answered) {
    const { ok, ...answer } = await answered
    this.#own.remember(answer.revision)
    await this.#holds(answer.revision)
    return answer
  }

  /**
   * Wait until the replica holds this revision. A change comes before its acknowledgement, but a sync may delay it.
   * @param {number} revision
   */
  #holds(revision) {
    if (this.state !== "catching up" || this.#replica.revision >= revision) return null
    return new Promise((resolve) => this.addEventListener("state", resolve, { once: true }))
  }

  /** @param {Fact[]} facts */
  #changed(facts) {
    this.#kept?.changed(facts)
    const told = facts.map((fact) => new KeyChange(fact, this.#own.has(fact)))
    this.#emit("change", { facts: told })
    for (const { matches, fn } of [...this.#watchers]) for (const fact of told) if (matches(fact.key)) guarded(fn, fact)
  }

  /** @param {string} name @param {object} detail */
  #told(name, detail) {
    const ended = name === "state" && this.state === "signed out"
    if (ended) {
      // Before the event is dispatched: a listener may forget more than this.
      this.#liveness.close()
      const { keepWrites } = this.#whenSignedOut
      this.keepsAfterSignOut = keepWrites && (this.#kept?.outlastsSession ?? false)
      this.forget({ keepWrites }).catch(() => {})
    }
    this.#emit(name, detail)
    if (ended && this.keepsAfterSignOut)
      this.#outbox.fail(new Refusal({ code: "unauthenticated", message: KEPT, kept: true }))
    if (name === "state" && this.state === "live") {
      this.#kept?.adopt().catch(() => {})
      // Load it now: without a network it cannot be loaded.
      const timer = /** @type {any} */ (setTimeout(() => import("./requests.js").catch(() => {}), SOON))
      timer.unref?.()
    }
  }

  /** @param {StoredRecord} write */
  #adopt(write) {
    if (write.quarantined) return this.#outbox.hold(write)
    const { verb, payload, keys, prefixes, epoch, at } = write
    const settled = this.#write(verb, payload, keys, prefixes, epoch, at)
    settled.catch(() => {}) // the listeners of adopted handle a rejection
    this.#emit("adopted", { write, settled })
  }

  /** @param {string} name */
  #emit(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }

  /** @returns {Promise<Client>} */
  #whenLive() {
    const ready = new Promise((resolve, reject) => {
      const settle = () => {
        if (this.state === "live") resolve(this)
        if (this.#failed) reject(this.#failed)
        if (this.state === "signed out")
          reject(
            new Refusal({ code: "unauthenticated", message: "Sign in first: the server does not know this caller." }),
          )
      }
      this.addEventListener("state", settle)
    })
    ready.catch(() => {}) // a caller that awaits ready gets the rejection; one that listens to state need not
    return ready
  }

  /**
   * Take the server's answer to `identify`. Return false if the connection belongs to another user than before.
   * @param {Identity} identity
   */
  #identify({ user, session, limits, server }) {
    this.clockAhead = Date.now() - Date.parse(server.time)
    this.#own.session = session
    this.#outbox.limits = limits
    if (this.#byCookie) this.#user ??= user.username
    this.#build ??= server.build
    const outdated = server.build !== this.#build
    if (outdated !== this.outdated) {
      this.outdated = outdated
      if (outdated) this.#emit("outdated", { version: server.version, build: server.build })
    }
    return this.#user === null || user.username === this.#user
  }
}

/** @param {(change: KeyChange) => void} fn @param {KeyChange} fact */
function guarded(fn, fact) {
  try {
    fn(fact)
  } catch (error) {
    reportError(error)
  }
}

/** @param {ReturnType<typeof setTimeout>} timer */
function cancellable(timer) {
  return { cancel: () => clearTimeout(timer) }
}

/** Return 128 random bits. (`crypto.randomUUID` is missing on plain HTTP to an address that is not localhost.) */
function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "")
}
