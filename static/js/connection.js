// The line to the server, on the official Socket.IO client: it keeps a Replica in step and an Outbox flowing, through
// lost connections and restarted servers. Its state is always one of `catching up`, `live`, `offline`, `signed out`;
// it is `live` only while what the replica holds is known to be in step. Knows nothing of the DOM.

import { Refusal } from "./outbox.js"

const ANSWER_WITHIN = 30_000
const TRY_AGAIN = 1_000 // after the server itself has ended or refused the connection
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

  state = "catching up"
  tabs = null // of this user, from `presence`; null while we do not know
  reason = null // why we are signed out
  healed = 0 // how often a bookmark or a sync showed a difference
  proved = null // when we last knew that we hold what the server holds: {at (this machine's milliseconds), revision, keys}

  /**
   * `socket` is a socket.io-client Socket that is not connected yet. `tell(name, detail)` hears of "state", "presence",
   * "notice" and "healed". `identify()` resolves to true when the server still takes us for the same user;
   * `renews`: by a cookie, which changes with every sign-in and every new password.
   */
  constructor({ socket, replica, outbox, tell, identify, renews = false }) {
    this.#socket = socket
    this.#replica = replica
    this.#outbox = outbox
    this.#tell = tell
    this.#identify = identify
    this.#renews = renews
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
    if (!this.#closed && !this.#socket.active) this.#socket.connect()
  }

  /** Asks without waiting in line: for the reading verbs. Rejects with a Refusal, also when there is no connection. */
  call(verb, payload) {
    if (!this.#socket.connected) return Promise.reject(notConnected())
    return new Promise((resolve, reject) => {
      this.#socket.timeout(ANSWER_WITHIN).emit(verb, payload, (lost, body) => {
        if (lost) reject(notConnected())
        else if (body.ok) resolve(body)
        else reject(new Refusal(body.error))
      })
    })
  }

  /** How long the server takes to answer, in milliseconds. */
  async ping() {
    const asked = performance.now()
    await this.call("list", { limit: 1, values: false })
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

  /** The network may be back: do not wait for the next attempt. */
  hurry() {
    if (!this.#begun || this.#socket.connected || this.state === "signed out") return
    clearTimeout(this.#retry)
    this.#socket.disconnect()
    this.#connect()
  }

  close() {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#socket.disconnect()
    this.#outbox.fail(new Refusal({ code: "unavailable", message: "The connection was closed." }))
  }

  async #connected() {
    const round = ++this.#round
    this.#enter("catching up")
    // Another tab may have signed somebody else in meanwhile: their entries are not for this tab, nor our writes for them.
    const identity = this.#identify().catch(() => null)
    this.#catchUp(identity)
    const same = await identity
    if (round !== this.#round) return
    if (same === false) this.#signedOut("another_user")
    else if (same === null) this.#again()
    else this.#ending = null
  }

  #disconnected(reason) {
    this.#round += 1
    // What socket.io still holds would overtake the older writes that the outbox sends again first.
    this.#socket.sendBuffer = []
    this.#replica.dropSync()
    this.#outbox.disconnected({ byPeer: BY_PEER.includes(reason) })
    this.tabs = null
    if (this.#closed || this.state === "signed out") return
    this.#enter("offline")
    if (reason === "io server disconnect") this.#tryAgain()
  }

  #refused(error) {
    if (error.message === "unauthenticated") return this.#signedOut(this.#ending ?? "unauthenticated")
    if (this.#closed || this.state === "signed out") return
    this.#enter("offline")
    // Something on the way may let one transport through and not the other.
    this.#socket.io.opts.transports.reverse()
    // A refusal by the server's word ends socket.io's own attempts; a lost network does not.
    if (!this.#socket.active) this.#tryAgain((error.data?.retry_after ?? 0) * 1_000)
  }

  #tryAgain(delay = 0) {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => this.#connect(), Math.max(delay, TRY_AGAIN))
  }

  #again(delay = 0) {
    this.#socket.disconnect()
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
        const page = await this.call("sync", payload)
        if ((await identity) !== true || round !== this.#round) return
        payload = this.#replica.takePage(page)
      }
    } catch (error) {
      // A lost connection starts anew by itself; on a standing one, a sync without an answer is a dead line.
      if (round === this.#round && this.#socket.connected) this.#again((error.retry_after ?? 0) * 1_000)
      return
    }
    if (this.#replica.differences !== differences) this.#reportDifference()
    if (this.#replica.proofs !== proofs) this.#prove()
    // Not before: after a restored backup, only what has come now says what the writes that wait would do.
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
  }
}

function notConnected() {
  return new Refusal({ code: "unavailable", message: "There is no connection to the server." })
}
