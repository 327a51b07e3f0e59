// The line to the server, on the official Socket.IO client: it keeps a Replica in step and an Outbox flowing, through
// lost connections and restarted servers. Its state is always one of `catching up`, `live`, `offline`, `signed out`;
// it is `live` only while what the replica holds is known to be in step. Knows nothing of the DOM.

import { Refusal } from "./outbox.js"

// Time limits, in milliseconds. Those of an open connection are doubled after each one that has run out, until the tab is live.
const ANSWER_WITHIN = 30_000 // for what a caller asks for
const JOIN_WITHIN = 5_000 // from an open transport to an accepted connection
const IDENTIFY_WITHIN = 4_000
const PAGE_WITHIN = 8_000 // for a page of a sync, about 512 KiB
const MOST_SLACK = 8
const TRY_AGAIN = 1_000 // after the server itself has ended or refused the connection
const OPEN_WITHIN = 5_000 // for a transport to open, once there was a connection
const FRESH = 2_000 // an attempt to connect that is younger is left alone when the network has changed
const [POLLING_AT, POLLING_EVERY] = [2, 5] // which of the attempts that hang is followed by one that begins with polling
const BY_PEER = ["transport close", "transport error"] // reasons of socket.io: the other end has closed the connection
const RENEWED = ["password_changed", "ended"] // how a session ends whose browser may hold a new cookie in a moment

export class Connection {
  #socket
  #replica
  #outbox
  #tell
  #identify
  #begun = false
  #closed = false
  #round = 0 // one for each connection: an answer that belongs to an earlier one is not for us
  #retry = null
  #renews // whether the browser's cookie says who we are: it may come back as another one
  #ending = null // why our session has ended, until we know whether there is a new one
  #slack = 2 // a page that loads is slow; 1 once it is live
  #hung = POLLING_AT // attempts without an answer; 0 when the last connection was a WebSocket
  #joining = null // a timer
  #attemptAt = -Infinity
  #heard = 0 // messages, since the beginning
  #heardAt = Date.now()
  #testing = false
  #resting = false
  #waking = new Set() // functions that look whether the rest is over
  #crowded

  state = "catching up"
  tabs = null // of this user, from `presence`; null while we do not know
  reason = null // why we are signed out
  healed = 0 // how often a bookmark or a sync showed a difference
  proved = null // when we last knew that we hold what the server holds: {at (this machine's milliseconds), revision, keys}

  /**
   * `socket` is a socket.io-client Socket that is not connected yet. `tell(name, detail)` hears of "state", "presence",
   * "notice" and "healed". `identify(answer)`, given the server's answer to the event `identify`, says whether it takes us for the
   * same user; `renews`: by a cookie, which changes with every sign-in and every new password. `crowded()`: whether this browser has
   * so many tabs that hidden ones should give their connection back.
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
    for (const event of ["packet", "ping"]) socket.io.on(event, () => this.#hear())
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

  /** A second attempt beside one that is under way would be refused by the server, and take the first one with it. */
  #connect() {
    if (this.#closed || this.#socket.active) return
    this.#attemptAt = Date.now()
    this.#socket.connect()
  }

  /** Asks without waiting in line: for the reading verbs. Rejects with a Refusal, also when there is no connection. */
  async call(verb, payload, within = ANSWER_WITHIN) {
    if (this.#resting) await this.#awake()
    if (!this.#socket.connected) throw notConnected()
    return new Promise((resolve, reject) => {
      this.#socket.timeout(within).emit(verb, payload, (lost, body) => {
        if (lost) reject(notConnected())
        else if (body.ok) resolve(body)
        else reject(new Refusal(body.error))
      })
    })
  }

  /** How long the server takes to answer, in milliseconds. */
  async ping() {
    const asked = performance.now()
    await this.call("identify", {})
    return performance.now() - asked
  }

  /** `websocket` or `polling`, or null without a connection. */
  get transport() {
    return this.#socket.connected ? this.#socket.io.engine.transport.name : null
  }

  /** Fetches everything anew, as if nothing were held; what is held stands until that has come. */
  resync() {
    if (this.state !== "live") return
    this.#replica.distrust()
    this.#follow("lost")
  }

  /** Puts a write on the wire, for the outbox. */
  send(verb, payload, answered) {
    this.#socket.emit(verb, payload, answered)
  }

  /**
   * Finds out within seconds whether the connection still stands, and replaces it if not. Without one, tries to connect at once; an attempt
   * that is under way counts for nothing when the network has `changed`.
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
    // A long message on a slow network may have been in front of the answer.
    if (this.#heard !== heard) this.#loosen()
    else this.#dead()
  }

  /** For how long a write that is on the wire has waited for its answer. */
  unansweredFor() {
    return this.#socket.connected ? this.#outbox.unansweredFor() : 0
  }

  /** For how long nothing has come. */
  silentFor() {
    return this.#socket.connected ? Date.now() - this.#heardAt : 0
  }

  /**
   * Whether this tab, when it is hidden, should give its connection back: each poll holds one of the few connections that a browser opens
   * to one server, so that many tabs would keep each other, and every page, waiting.
   */
  mayRest() {
    return this.state === "live" && this.transport === "polling" && this.#outbox.pending.length === 0 && this.#crowded()
  }

  /** Gives the connection back until `test`, a write or a call needs it. The state is `catching up` meanwhile: something may be missing. */
  rest() {
    this.#resting = true
    this.#socket.disconnect()
  }

  /** The server has refused something because the session has ended. It says so and closes; if it does not, the next attempt tells. */
  sessionEnded() {
    const round = this.#round
    setTimeout(() => round === this.#round && this.#again(), TRY_AGAIN)
  }

  /** Ends a rest. */
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

  /** The network may be back: do not wait for the next attempt, nor for one that was made before. */
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
    return new Promise((done) => {
      const look = () => (this.state === "catching up" ? this.#waking.add(look) : done())
      look()
    })
  }

  #hear() {
    this.#heard += 1
    this.#heardAt = Date.now()
  }

  /** A transport is open; the server says next whether it takes us. */
  #opened() {
    clearTimeout(this.#joining)
    this.#joining = setTimeout(() => !this.#socket.connected && this.#again(), JOIN_WITHIN * this.#slack)
  }

  #loosen() {
    this.#slack = Math.min(this.#slack * 2, MOST_SLACK)
  }

  /** Nothing comes over this connection any more. */
  #dead() {
    this.#loosen()
    this.#hangUp()
    this.#connect()
  }

  /** Ends the connection, or the attempt, without waiting for the other side. */
  #hangUp() {
    const { engine } = this.#socket.io
    this.#socket.disconnect()
    engine?.transport?.abort?.()
  }

  /** The transport that is tried first. */
  #first(name) {
    const { transports } = this.#socket.io.opts
    if ((transports[0].prototype?.name ?? transports[0]) !== name) transports.reverse()
  }

  async #connected() {
    const round = ++this.#round
    clearTimeout(this.#joining)
    this.#socket.io.timeout(OPEN_WITHIN)
    this.#hear()
    this.#enter("catching up")
    // Another tab may have signed somebody else in meanwhile: their entries are not for this tab, nor our writes for them. The server says
    // over this very connection who it is for.
    let delay = 0
    const identity = this.call("identify", {}, IDENTIFY_WITHIN * this.#slack).then(
      (answer) => this.#identify(answer),
      ({ retry_after = 0 }) => ((delay = retry_after * 1_000), null),
    )
    this.#catchUp(identity)
    const same = await identity
    if (round !== this.#round) return
    if (same === false) this.#signedOut("another_user")
    else if (same === null) this.#slow(delay)
    else this.#ending = null
  }

  /** Something took too long on an open connection. */
  #slow(delay = 0) {
    this.#loosen()
    this.#again(delay)
  }

  #disconnected(reason) {
    this.#round += 1
    // What socket.io still holds would overtake the older writes that the outbox sends again first.
    this.#socket.sendBuffer = []
    this.#replica.dropSync()
    this.#outbox.disconnected({ byPeer: BY_PEER.includes(reason) })
    this.tabs = null
    if (this.#closed || this.state === "signed out") return
    this.#enter(this.#resting ? "catching up" : "offline")
    if (reason === "io server disconnect") this.#tryAgain()
  }

  #refused(error) {
    if (error.message === "unauthenticated") return this.#signedOut(this.#ending ?? "unauthenticated")
    if (this.#closed || this.state === "signed out") return
    this.#enter("offline")
    // An attempt that fails has tried both transports. One that hangs has not: something on the way may swallow the first one. But where
    // it swallows everything, only WebSocket opens a new connection; polling may be given an old, dead one by the browser. So where there was
    // a WebSocket, the next attempts begin with it.
    if (error.message === "timeout") this.#first(this.#hung++ % POLLING_EVERY === POLLING_AT ? "polling" : "websocket")
    // A refusal by the server's word ends socket.io's own attempts; a lost network does not.
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

  #follow(outcome) {
    if (outcome === "same") this.#prove()
    if (outcome === "different") this.#reportDifference()
    if (outcome === "lost" || outcome === "different") {
      this.#enter("catching up")
      this.#catchUp()
    }
  }

  async #catchUp(identity = true) {
    const round = this.#round
    const { differences, proofs } = this.#replica
    try {
      for (let payload = this.#replica.startSync(); payload !== null; ) {
        const page = await this.call("sync", payload, PAGE_WITHIN * this.#slack)
        if ((await identity) !== true || round !== this.#round) return
        payload = this.#replica.takePage(page)
      }
    } catch (error) {
      // A lost connection starts anew by itself; on a standing one, a sync without an answer is a dead line.
      if (round === this.#round && this.#socket.connected) this.#slow((error.retry_after ?? 0) * 1_000)
      return
    }
    if (this.#replica.differences !== differences) this.#reportDifference()
    if (this.#replica.proofs !== proofs) this.#prove()
    // Not before: after a restored backup, only what has come now says what the writes that wait would do.
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

  #presence(tabs) {
    this.tabs = tabs
    this.#tell("presence", { tabs })
  }

  /** The session is over; when it was renewed in this browser, the cookie of the next attempt says so. */
  #ended(reason) {
    if (!this.#renews || !RENEWED.includes(reason)) return this.#signedOut(reason)
    this.#ending = reason
    this.#again()
  }

  #signedOut(reason) {
    if (this.state === "signed out") return
    this.reason = reason
    this.tabs = null
    this.#enter("signed out")
    this.#outbox.fail(new Refusal({ code: "unauthenticated", message: "You were signed out before this was written." }))
    this.#socket.disconnect()
  }

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
