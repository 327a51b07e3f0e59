// The client as one object: replica, outbox and connection together, and what they say as values, promises and events.

import { Connection } from "./connection.js"
import { Fact, visible } from "./facts.js"
import { sortKeys } from "./keys.js"
import { Liveness } from "./liveness.js"
import { Outbox, Refusal } from "./outbox.js"
import { Own } from "./own.js"
import { Polling } from "./polling.js"
import { Replica } from "./replica.js"
import { parts } from "./sizes.js"
import { Verbs } from "./verbs.js"
import { WebSocket, io } from "./vendor/socket.io.esm.min.js"

const STORAGE_WITHIN = 3_000
const MOST_POLLING = 3 // tabs of one browser that may poll at once: it opens six connections to a server, and pages need some
const SOON = 1_000
const KEPT = "You were signed out before this was written. It is kept in this browser, and sent when you sign in again."
const STAY_SIGNED_OUT = ["signed_out", "deleted"] // after these nothing is kept: somebody wanted it gone
const MOST_KEPT = 100 // writes that wait, where they are kept

/**
 * What `connect` of `/rkv.js` resolves to; made directly, it does not wait. Events (`kv.addEventListener`), each with its `detail`:
 * `change` {facts}, `state` {state, reason}, `presence` {tabs}, `pending`, `quarantined` {write}, `notice` {kind, message}, `healed`,
 * `outdated` {version, build}: the server runs another version than this page was loaded from; offer a reload.
 */
export class Client extends Verbs {
  #replica
  #outbox
  #connection
  #own
  #watchers = new Set()
  #base
  #user = null
  #kept = null
  #keeping = null
  #forgotten = null // {keepWrites}, once nothing is to be kept any more
  #build
  #byCookie
  #liveness
  #checking = false // whether a check of this page's origin is under way
  #failed = null // the Refusal, when there is no use in going on

  /** Resolves to this client once it is live for the first time. */
  ready

  /**
   * `user`: the name that the page was made for; someone else's session then counts as signed out. `keep`: what this browser keeps of
   * them is there before the connection is (see `keep`). `build`: that of the server which the page was loaded from, if it says it; else the
   * first that is connected to.
   */
  constructor({ url, token, user, keep = false, build = null } = {}) {
    super({ put: (...write) => this.#put(...write), ask: (verb, payload) => this.#ask(verb, payload), keys: (prefix) => this.keys(prefix) })
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
    this.#own = new Own(this.#replica, this.#outbox)
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

  /** How many tabs this browser has open here, as far as that is known. */
  get #ownTabs() {
    return (this.tabs ?? []).filter(({ session }) => session === this.session?.id).length
  }

  /** A browser does not tell a page that it may not connect, so the page asks, as long as it has never been connected. */
  async #checkOrigin() {
    if (this.#checking || this.#own.session !== null || globalThis.location?.origin === this.#base) return
    this.#checking = true
    const refusal = await import("./origin.js").then(({ originRefused }) => originRefused(this.#base), () => null)
    this.#checking = false
    if (refusal && this.#own.session === null) this.#fail(refusal)
  }

  /** There is no use in going on. */
  #fail(refusal) {
    this.#liveness.close()
    this.#connection.close(refusal)
    this.#failed = refusal
    this.#emit("state", { state: this.state, reason: this.reason })
  }

  async #open(keep) {
    // Storage that does not answer must not keep us from what the server has.
    if (keep) await Promise.race([this.keep(), new Promise((go) => setTimeout(go, STORAGE_WITHIN))]).catch(() => {})
    this.#connection.open()
  }

  /**
   * From now on what this tab holds, and the writes that wait, are kept in this browser, for this `user`, until they sign out; and
   * what was kept is here at once, as of then. Events: `restored` {at} (milliseconds) when something was; `adopted`
   * {write, settled} for each write that a tab has left behind, with the promise of its answer. Rejects where nothing can be kept.
   */
  async keep() {
    // what is kept for somebody would have to go for nobody
    if (this.#user === null) throw new TypeError("keep: for which user?")
    this.#keeping ??= import("./kept.js").then(({ Kept }) =>
      Kept.open({
        user: this.#user,
        tab: makeId(),
        replica: this.#replica,
        outbox: this.#outbox,
        live: () => this.state === "live",
        told: (name, detail) => this.#emit(name, detail),
        adopt: (write) => this.#adopt(write),
      }),
    )
    this.#kept = await this.#keeping
    // who has signed out meanwhile is not to be found here again
    if (this.#forgotten || this.state === "signed out") await this.forget(this.#forgotten ?? this.#whenSignedOut)
  }

  /** What stays in this browser when the session has ended: writes that wait are sent when the same user signs in again. */
  get #whenSignedOut() {
    return { keepWrites: !STAY_SIGNED_OUT.includes(this.reason) }
  }

  /** Whether the writes that wait would survive a reload. */
  get keepsPending() {
    return this.#kept?.holdsAll ?? false
  }

  /** Once signed out: whether the writes that waited are kept in this browser, to be sent when the same user signs in again. */
  keepsAfterSignOut = false

  /** Throws away what this browser keeps, but, with `keepWrites`, not the writes that wait; and keeps nothing more. */
  async forget({ keepWrites = false } = {}) {
    const kept = this.#kept
    this.#forgotten ??= { keepWrites }
    this.#kept = null
    await kept?.end({ forgetting: true, keepWrites })
  }

  /** `live`, `catching up`, `offline` or `signed out`. Only `live` says that nothing is missing here. */
  get state() {
    return this.#connection.state
  }

  /** Why we are `signed out`, in the protocol's words; `another_user`; or `unauthenticated` when that is all we know; else null. */
  get reason() {
    return this.#connection.reason
  }

  /** The tabs of this user, [{id, session, label, since}], or null while that is not known. */
  get tabs() {
    return this.#connection.tabs
  }

  /** {epoch, revision}: how far this tab has come. */
  get position() {
    return { epoch: this.#replica.epoch, revision: this.#replica.revision }
  }

  /** The epoch of what this tab holds, also while it does not know how far it has come; null before there was anything. */
  get dataSet() {
    return this.#replica.dataSet
  }

  /** How often this tab found, by a bookmark or a sync, that it did not hold what the server held, and healed. */
  get healed() {
    return this.#connection.healed
  }

  /**
   * When a bookmark or a sync last proved, by the digest, that this tab holds what the server holds: {at (this machine's
   * milliseconds), revision, keys}; null before that.
   */
  get proved() {
    return this.#connection.proved
  }

  /** When the newest write that this tab knows of was made, by the server's clock; null before there was one. */
  get lastChange() {
    return this.#replica.newest
  }

  /** `websocket` or `polling`; null while there is no connection. */
  get transport() {
    return this.#connection.transport
  }

  /** Finds out whether the connection still stands, and replaces it if not, as happens by itself when a tab is looked at. */
  async test() {
    await this.#connection.test()
  }

  /** How long the server takes to answer, in milliseconds; rejects while there is no connection. */
  ping() {
    return this.#connection.ping()
  }

  /** Fetches everything anew, as if nothing were held here; what is held stands until that has come. */
  resync() {
    this.#connection.resync()
  }

  /** What proves the entries that this tab holds: see `digest` in the protocol. */
  get digest() {
    return this.#replica.digest
  }

  /** Whether this tab made the write of this revision, as far back as it remembers. */
  wrote(revision) {
    return this.#own.wrote(revision)
  }

  /** How many keys there are. */
  get size() {
    return this.#replica.keys
  }

  /** Writes whose acknowledgement is still awaited, oldest first: [{verb, payload, keys, sent}]. They live in this tab. */
  get pending() {
    return this.#outbox.pending
  }

  /**
   * Writes whose sending has ended the connection twice, as in `pending`: they are not sent by themselves, and stay until `retry` or
   * `discard` is called with their `payload.op_id`. Their promise has been rejected with the code `quarantined`. Where the client
   * keeps things (`keep`), they are kept.
   */
  get quarantined() {
    return this.#outbox.quarantined
  }

  /** Sends a quarantined write again; resolves and rejects as the write did. It is never written twice. */
  async retry(opId) {
    return this.#answer(this.#outbox.retry(opId))
  }

  /** Drops a quarantined write. */
  discard(opId) {
    this.#outbox.discard(opId)
  }

  /**
   * Cuts work that is too large for one `batch`: yields arrays of ops, as `batch` takes them, each of which fits. `opsOf(item)` gives the
   * ops of one item; they stay in one batch. It is called when its batch is due: await each `batch` before the next is taken.
   */
  parts(items, opsOf = (op) => [op]) {
    return parts(items, opsOf, this.#outbox.limits)
  }

  /** Milliseconds that this machine's clock is ahead of the server's, as far as that is known; see `identify`. */
  clockAhead = 0

  /** Whether the server runs another version than this page was loaded from: a reload brings the new one. See the event `outdated`. */
  outdated = false

  /** This tab's session, {id, label}, once known. */
  get session() {
    return this.#own.session
  }

  /**
   * The value under `key` that this tab holds, or undefined when there is no such key. It comes at once (awaiting it
   * does no harm), is never a guess, and is frozen: write with `set`.
   */
  get(key) {
    return this.entry(key)?.value
  }

  /** The entry {key, value, revision, version, updated_at, expires_at, origin} that this tab holds, or undefined. */
  entry(key) {
    return visible(this.#replica.entries.get(key))
  }

  /** The entry as it is held here, or undefined: not to be changed. For those who look at very many of them. */
  held(key) {
    return this.#replica.entries.get(key)
  }

  /** All entries whose keys begin with `prefix`, in byte order. */
  entries(prefix = "") {
    return this.keys(prefix).map((key) => this.entry(key))
  }

  /** All keys that begin with `prefix`, in byte order. */
  keys(prefix = "") {
    const keys = []
    for (const key of this.#replica.entries.keys()) if (key.startsWith(prefix)) keys.push(key)
    return sortKeys(keys)
  }

  /** Asks the server for the entry, with `created_at` and `created_revision`; rejects with a Refusal (`not_found`). */
  async fetch(key) {
    return (await this.#connection.call("get", { key })).entry
  }

  /**
   * Calls `fn({key, value, entry, old, mine, origin, resync})` after every change of that key, or of every key with a prefix
   * when `pattern` ends in `*`. `value` and `entry` are undefined once deleted; `mine` says that this tab wrote it,
   * `resync` that it was found out by a sync. Returns a function that ends it.
   */
  on(pattern, fn) {
    const prefix = pattern.endsWith("*") ? pattern.slice(0, -1) : null
    const watcher = { matches: prefix === null ? (key) => key === pattern : (key) => key.startsWith(prefix), fn }
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Calls `fn(state)` now and whenever it changes. Returns a function that ends it. */
  onState(fn) {
    const listener = () => fn(this.state)
    this.addEventListener("state", listener)
    fn(this.state)
    return () => this.removeEventListener("state", listener)
  }

  /** Ends the connection. Writes that are still pending are rejected; what is held stays readable, as of now. */
  close() {
    this.#liveness.close()
    this.#connection.close()
  }

  async #ask(verb, payload) {
    const { ok, ...answer } = await this.#connection.call(verb, payload)
    return answer
  }

  async #put(verb, payload, keys, prefixes) {
    if (this.state === "signed out") throw new Refusal({ code: "unauthenticated", message: "You are signed out." })
    if (this.#kept && this.state !== "live" && this.#outbox.pending.length >= MOST_KEPT)
      throw new Refusal({ code: "unavailable", message: `${MOST_KEPT} changes wait for the connection, which is as many as are kept. Save again when it is back.` })
    return this.#write(verb, payload, keys, prefixes)
  }

  #write(...write) {
    return this.#answer(this.#outbox.put(...write))
  }

  async #answer(answered) {
    const { ok, ...answer } = await answered
    this.#own.remember(answer.revision)
    await this.#holds(answer.revision)
    return answer
  }

  /** A change comes before its acknowledgement; but a sync may be holding it back. */
  #holds(revision) {
    if (this.state !== "catching up" || this.#replica.revision >= revision) return null
    return new Promise((resolve) => this.addEventListener("state", resolve, { once: true }))
  }

  #changed(facts) {
    this.#kept?.changed(facts)
    const told = facts.map((fact) => new Fact(fact, this.#own.has(fact)))
    this.#emit("change", { facts: told })
    for (const { matches, fn } of [...this.#watchers])
      for (const fact of told) if (matches(fact.key)) guarded(fn, fact)
  }

  #told(name, detail) {
    const ended = name === "state" && this.state === "signed out"
    if (ended) {
      // Before anybody hears of it, and forgets more than this.
      this.#liveness.close()
      const { keepWrites } = this.#whenSignedOut
      this.keepsAfterSignOut = keepWrites && (this.#kept?.outlastsSession ?? false)
      this.forget({ keepWrites }).catch(() => {})
    }
    this.#emit(name, detail)
    if (ended && this.keepsAfterSignOut) this.#outbox.fail(new Refusal({ code: "unauthenticated", message: KEPT, kept: true }))
    if (name === "state" && this.state === "live") {
      this.#kept?.adopt().catch(() => {})
      // without a network it could not be loaded
      setTimeout(() => import("./requests.js").catch(() => {}), SOON).unref?.()
    }
  }

  #adopt(write) {
    if (write.quarantined) return this.#outbox.hold(write)
    const { verb, payload, keys, prefixes, epoch, at } = write
    const settled = this.#write(verb, payload, keys, prefixes, epoch, at)
    settled.catch(() => {}) // whoever adopts it hears of it
    this.#emit("adopted", { write, settled })
  }

  #emit(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }

  #whenLive() {
    const ready = new Promise((resolve, reject) => {
      const settle = () => {
        if (this.state === "live") resolve(this)
        if (this.#failed) reject(this.#failed)
        if (this.state === "signed out")
          reject(new Refusal({ code: "unauthenticated", message: "Sign in first: the server does not know this caller." }))
      }
      this.addEventListener("state", settle)
    })
    ready.catch(() => {}) // whoever awaits it hears of it; whoever listens to `state` need not
    return ready
  }

  /** The server says who this connection is for: false when that is another user than before. */
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

function guarded(fn, fact) {
  try {
    fn(fact)
  } catch (error) {
    reportError(error)
  }
}

function cancellable(timer) {
  return { cancel: () => clearTimeout(timer) }
}

/** 128 random bits. (`crypto.randomUUID` is missing on plain HTTP to an address that is not localhost.) */
function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
}
