// The connection to the server, on the official Socket.IO client: keeps a Replica in sync and sends the writes of an
// Outbox, through lost connections and restarted servers. Its state is always one of `catching up`, `live`, `offline`,
// `signed out`; it is `live` only while the replica is known to be in sync. Does not touch the DOM.
// Longer than 320 lines: the state machine of one connection.

import { Refusal } from "./outbox.js"

/**
 * @import { Socket } from "socket.io-client"
 * @import { Answer, Outbox, Payload } from "./outbox.js"
 * @import { Replica, SyncPayload } from "./replica.js"
 */
/** @typedef {"live" | "catching up" | "offline" | "signed out"} State */
/** @typedef {{ id: string, session: string, label: string, since: string }} Tab A tab of this user. */
/** @typedef {ReturnType<typeof setTimeout>} Timer */

// Time limits, in milliseconds. Those of an open connection are doubled after each timeout, until the tab is live.
const ANSWER_WITHIN = 30_000 // for the requests of a caller
const JOIN_WITHIN = 5_000 // from an open transport to an accepted connection
const IDENTIFY_WITHIN = 4_000
const PAGE_WITHIN = 8_000 // for a page of a sync, about 512 KiB
const MOST_SLACK = 8
const TRY_AGAIN = 1_000 // after the server itself has ended or refused the connection
const OPEN_WITHIN = 5_000 // for a transport to open, after the first connection
const FRESH = 2_000 // when the network has changed, a connection attempt younger than this continues
// Of the hanging attempts counted from 0, number 2 of every 5 is followed by an attempt that begins with polling.
const [POLLING_AT, POLLING_EVERY] = [2, 5]
const BY_PEER = ["transport close", "transport error"] // reasons of socket.io: the other end has closed the connection
const RENEWED = ["password_changed", "ended"] // reasons of a session's end after which the browser may get a new cookie

export class Connection {
  #socket
  #replica
  #outbox
  #tell
  #identify
  #begun = false
  #closed = false
  #round = 0 // the number of the connection: answers that belong to an earlier one are ignored
  /** @type {Timer | undefined} */
  #retry
  #renews // whether a cookie authenticates us: the browser may get a new one
  /** @type {string | null} */
  #ending = null // the reason for the session's end, until it is known whether there is a new session
  #slack = 2 // factor of the time limits: a loading page is slow; 1 once it is live
  #hung = POLLING_AT // attempts without an answer; 0 if the last connection was a WebSocket
  /** @type {Timer | undefined} */
  #joining
  #attemptAt = -Infinity
  #heard = 0 // messages received since the start
  #heardAt = Date.now()
  #testing = false
  #resting = false
  /** @type {Set<() => void>} */
  #waking = new Set() // functions that check whether the rest is over
  #crowded

  /** @type {State} */
  state = "catching up"
  /** @type {Tab[] | null} */
  tabs = null // of this user, from presence; null while unknown
  /** @type {string | null} */
  reason = null // for signed out
  healed = 0 // number of differences that a bookmark or a sync showed
  /** @type {{ at: number, revision: number, keys: number } | null} */
  proved = null // last proof of equality with the server; `at`: by this machine's clock, in milliseconds

  /**
   * `socket` is a socket.io-client Socket that is not connected yet. `tell(name, detail)` receives "state", "presence",
   * "notice" and "healed". `identify(answer)` takes the server's answer to the event `identify` and returns whether the
   * connection is for the same user; `renews`: a cookie authenticates, which changes with every sign-in and every new
   * password. `crowded()`: whether this browser has so many tabs that hidden ones should close their connection.
   *
   * @param {{
   *   socket: Socket,
   *   replica: Replica,
   *   outbox: Outbox,
   *   tell(name: string, detail: object): void,
   *   identify(answer: any): boolean,
   *   renews?: boolean,
   *   crowded?: () => boolean,
   * }} parts
   */
  constructor({ socket, replica, outbox, tell, identify, renews = false, crowded = () => false }) {
    this.#socket = socket
    this.#replica = replica
    this.#outbox = outbox
    this.#tell = tell
    this.#identify = identify
    this.#renews = renews
    this.#crowded = crowded
    socket.io.on("open", () => this.#opened())
    socket.io.on("reconnect_attempt", () => (this.#attemptAt = Date.now()))
    for (const event of /** @type {const} */ (["packet", "ping"])) socket.io.on(event, () => this.#hear())
    socket.on("connect", () => this.#connected())
    socket.on("disconnect", (reason) => this.#disconnected(reason))
    socket.on("connect_error", (error) => this.#refused(error))
    socket.on("change", (change) => this.#follow(this.#replica.apply(change)))
    socket.on("bookmark", (bookmark) => this.#follow(this.#replica.compare(bookmark)))
    socket.on("presence", ({ tabs }) => this.#presence(tabs))
    socket.on("notice", (notice) => this.#tell("notice", notice))
    socket.on("signed_out", ({ reason }) => this.#ended(reason))
  }

  open() {
    this.#begun = true
    this.#connect()
  }

  /** Connect, unless an attempt is under way: the server would refuse a second one, which also ends the first. */
  #connect() {
    if (this.#closed || this.#socket.active) return
    this.#attemptAt = Date.now()
    this.#socket.connect()
  }

  /**
   * Send a request past the outbox: for the reading verbs. Rejects with a Refusal, also if there is no connection.
   * @param {string} verb
   * @param {Payload} payload
   * @returns {Promise<any>}
   */
  async call(verb, payload, within = ANSWER_WITHIN) {
    if (this.#resting) await this.#awake()
    if (!this.#socket.connected) throw notConnected()
    return new Promise((resolve, reject) => {
      this.#socket.timeout(within).emit(verb, payload, (/** @type {unknown} */ lost, /** @type {Answer} */ body) => {
        if (lost) reject(notConnected())
        else if (body.ok) resolve(body)
        else reject(new Refusal(body.error))
      })
    })
  }

  /** Measure the round-trip time to the server, in milliseconds. */
  async ping() {
    const asked = performance.now()
    await this.call("identify", {})
    return performance.now() - asked
  }

  /**
   * `websocket` or `polling`, or null without a connection.
   * @returns {"websocket" | "polling" | null}
   */
  get transport() {
    return this.#socket.connected ? /** @type {"websocket"} */ (this.#socket.io.engine.transport.name) : null
  }

  /** Run a full resync. The present entries stay until it is complete. */
  resync() {
    if (this.state !== "live") return
    this.#replica.distrust()
    this.#follow("lost")
  }

  /**
   * Send a write, for the outbox.
   * @param {string} verb
   * @param {Payload} payload
   * @param {(body: Answer) => void} answered
   */
  send(verb, payload, answered) {
    this.#socket.emit(verb, payload, answered)
  }

  /**
   * Check within seconds that the connection is alive, and replace it if not. Without a connection, connect at once; if
   * the network has `changed`, an older attempt that is under way is dropped.
   */
  async test(changed = false) {
    if (!this.#begun || this.#closed || this.state === "signed out") return
    if (!this.#socket.connected) return this.#hurry(changed ? FRESH : OPEN_WITHIN)
    if (this.#testing) return
    this.#testing = true
    const [round, heard] = [this.#round, this.#heard]
    const stands = await this.call("identify", {}, IDENTIFY_WITHIN * this.#slack).then(
      () => true,
      ({ code }) => code !== "unavailable", // a refusal is an answer
    )
    this.#testing = false
    if (stands || round !== this.#round) return
    // A long message on a slow network may have delayed the answer.
    if (this.#heard !== heard) this.#loosen()
    else this.#dead()
  }

  /** Return for how many milliseconds the oldest sent write has waited for its answer. */
  unansweredFor() {
    return this.#socket.connected ? this.#outbox.unansweredFor() : 0
  }

  /** Return for how many milliseconds no message has arrived. */
  silentFor() {
    return this.#socket.connected ? Date.now() - this.#heardAt : 0
  }

  /**
   * Return whether this tab, when hidden, should close its connection. Each poll occupies one of the few connections
   * that a browser opens to one server, so many polling tabs would block each other and every page.
   */
  mayRest() {
    return this.state === "live" && this.transport === "polling" && this.#outbox.pending.length === 0 && this.#crowded()
  }

  /** Close the connection until `test`, a write or a call needs it. State `catching up`: changes may be missing. */
  rest() {
    this.#resting = true
    this.#socket.disconnect()
  }

  /**
   * Handle a refusal because the session has ended. The server reports the end and closes; if it does not, reconnect to
   * find out.
   */
  sessionEnded() {
    const round = this.#round
    setTimeout(() => round === this.#round && this.#again(), TRY_AGAIN)
  }

  /** End a rest. */
  wake() {
    if (this.#resting) this.#hurry()
  }

  close(refusal = new Refusal({ code: "unavailable", message: "The connection was closed." })) {
    this.#closed = true
    clearTimeout(this.#retry)
    clearTimeout(this.#joining)
    this.#socket.disconnect()
    this.#outbox.fail(refusal)
  }

  /** Connect now: the network may be back, so wait neither for the next attempt nor for one older than `fresh`. */
  #hurry(fresh = 0) {
    if (!this.#resting && Date.now() - this.#attemptAt < fresh) return
    this.#resting = false
    clearTimeout(this.#retry)
    this.#first("websocket")
    this.#hangUp()
    this.#connect()
  }

  #awake() {
    this.wake()
    return /** @type {Promise<void>} */ (
      new Promise((done) => {
        const look = () => (this.state === "catching up" ? this.#waking.add(look) : done())
        look()
      })
    )
  }

  #hear() {
    this.#heard += 1
    this.#heardAt = Date.now()
  }

  /** A transport is open: limit the time until the server accepts the connection. */
  #opened() {
    clearTimeout(this.#joining)
    this.#joining = setTimeout(() => !this.#socket.connected && this.#again(), JOIN_WITHIN * this.#slack)
  }

  #loosen() {
    this.#slack = Math.min(this.#slack * 2, MOST_SLACK)
  }

  /** Replace a dead connection. */
  #dead() {
    this.#loosen()
    this.#hangUp()
    this.#connect()
  }

  /** End the connection or the attempt without waiting for the other side. */
  #hangUp() {
    const { engine } = this.#socket.io
    this.#socket.disconnect()
    const transport = /** @type {{ abort?(): void } | undefined} */ (/** @type {unknown} */ (engine?.transport))
    transport?.abort?.()
  }

  /**
   * Set the transport that is tried first.
   * @param {string} name
   */
  #first(name) {
    const transports = /** @type {any[]} */ (this.#socket.io.opts.transports)
    if ((transports[0].prototype?.name ?? transports[0]) !== name) transports.reverse()
  }

  async #connected() {
    const round = ++this.#round
    clearTimeout(this.#joining)
    this.#socket.io.timeout(OPEN_WITHIN)
    this.#hear()
    this.#enter("catching up")
    // Another tab may have signed in another user meanwhile: this tab must neither show their entries nor send them its
    // writes. The server's answer on this same connection names the user.
    let delay = 0
    const identity = this.call("identify", {}, IDENTIFY_WITHIN * this.#slack).then(
      (answer) => this.#identify(answer),
      ({ retry_after = 0 }) => {
        delay = retry_after * 1_000
        return null
      },
    )
    this.#catchUp(identity)
    const same = await identity
    if (round !== this.#round) return
    if (same === false) this.#signedOut("another_user")
    else if (same === null) this.#slow(delay)
    else this.#ending = null
  }

  /** A request on an open connection timed out: allow more time and reconnect. */
  #slow(delay = 0) {
    this.#loosen()
    this.#again(delay)
  }

  /** @param {string} reason */
  #disconnected(reason) {
    this.#round += 1
    // Messages still buffered in socket.io would overtake the older writes that the outbox sends again first.
    this.#socket.sendBuffer = []
    this.#replica.dropSync()
    this.#outbox.disconnected({ byPeer: BY_PEER.includes(reason) })
    this.tabs = null
    if (this.#closed || this.state === "signed out") return
    this.#enter(this.#resting ? "catching up" : "offline")
    if (reason === "io server disconnect") this.#tryAgain()
  }

  /** @param {Error & { data?: any }} error */
  #refused(error) {
    if (error.message === "unauthenticated") return this.#signedOut(this.#ending ?? "unauthenticated")
    if (this.#closed || this.state === "signed out") return
    this.#enter("offline")
    // A failed attempt has tried both transports. A hanging one has not: the network may drop the packets of the first
    // transport. If the network drops everything, only WebSocket opens a new connection; the browser may give polling
    // an old, dead one. After a WebSocket connection, the next attempts therefore begin with WebSocket.
    if (error.message === "timeout") this.#first(this.#hung++ % POLLING_EVERY === POLLING_AT ? "polling" : "websocket")
    // A refusal by the server ends socket.io's own attempts; a lost network does not.
    if (!this.#socket.active) this.#tryAgain((error.data?.retry_after ?? 0) * 1_000)
  }

  #tryAgain(delay = 0) {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.#connect(), Math.max(delay, TRY_AGAIN))
  }

  #again(delay = 0) {
    this.#hangUp()
    this.#tryAgain(delay)
  }

  /** @param {string} outcome */
  #follow(outcome) {
    if (outcome === "same") this.#prove()
    if (outcome === "different") this.#reportDifference()
    if (outcome === "lost" || outcome === "different") {
      this.#enter("catching up")
      this.#catchUp()
    }
  }

  /** @param {boolean | Promise<boolean | null>} identity */
  async #catchUp(identity = true) {
    const round = this.#round
    const { differences, proofs } = this.#replica
    try {
      for (let payload = /** @type {SyncPayload | null} */ (this.#replica.startSync()); payload !== null; ) {
        const page = await this.call("sync", payload, PAGE_WITHIN * this.#slack)
        if ((await identity) !== true || round !== this.#round) return
        payload = this.#replica.takePage(page)
      }
    } catch (error) {
      // A lost connection is retried by itself; on an open one, a sync without an answer means it is dead.
      if (round === this.#round && this.#socket.connected) this.#slow((error.retry_after ?? 0) * 1_000)
      return
    }
    if (this.#replica.differences !== differences) this.#reportDifference()
    if (this.#replica.proofs !== proofs) this.#prove()
    // Not before: after a restored backup, only the synced entries show what the pending writes would do.
    this.#slack = 1
    this.#hung = this.transport === "websocket" ? 0 : POLLING_AT
    this.#outbox.connected()
    this.#enter("live")
  }

  #prove() {
    this.proved = { at: Date.now(), revision: this.#replica.revision, keys: this.#replica.keys }
  }

  #reportDifference() {
    this.healed += 1
    this.#tell("healed", { differences: this.#replica.differences })
  }

  /** @param {Tab[]} tabs */
  #presence(tabs) {
    this.tabs = tabs
    this.#tell("presence", { tabs })
  }

  /**
   * Handle the session's end. If this browser has renewed it, the cookie of the next attempt names the new session.
   * @param {string} reason
   */
  #ended(reason) {
    if (!this.#renews || !RENEWED.includes(reason)) return this.#signedOut(reason)
    this.#ending = reason
    this.#again()
  }

  /** @param {string} reason */
  #signedOut(reason) {
    if (this.state === "signed out") return
    this.reason = reason
    this.tabs = null
    this.#enter("signed out")
    this.#outbox.fail(new Refusal({ code: "unauthenticated", message: "You were signed out before this was written." }))
    this.#socket.disconnect()
  }

  /** @param {State} state */
  #enter(state) {
    if (this.state === state) return
    this.state = state
    this.#tell("state", { state, reason: this.reason })
    const waking = [...this.#waking]
    this.#waking.clear()
    for (const look of waking) look()
  }
}

function notConnected() {
  return new Refusal({ code: "unavailable", message: "There is no connection to the server." })
}
