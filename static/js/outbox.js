// The writes of this tab that are not yet known to be on the server's disk. Each has an `op_id`, chosen once, so
// that sending it again after a lost acknowledgement never writes twice; what is unanswered is sent again in the
// order in which it was asked for. Knows neither the DOM nor the socket: `send` is given by the connection.
//
// Three kinds of writes are not sent (again), and each is reported by a Refusal:
// 1. `too_large`: it cannot fit a message of the server; the server would close the connection.
// 2. `quarantined`: the peer closed the connection twice right after it was sent alone. It is kept in `quarantined` until somebody
//    calls `retry` or `discard`.
// 3. `unknown_outcome`: it may have been sent, but so long ago that the server no longer remembers its `op_id`, and nothing in it
//    prevents a second effect.

import { DEFAULT_LIMITS, messageBytes } from "./sizes.js"

/** The server says no (or could not say yes): `code`, `message`, and what else the protocol's error carries. */
export class Refusal extends Error {
  constructor({ code, message, ...extra }) {
    super(message ?? code)
    this.name = "Refusal"
    this.code = code
    Object.assign(this, extra)
  }
}

const ON_THE_WIRE = 240 // the server reads no further at 256; the rest is left to reads and the sync
const RETRIES = 5
const RETRY_AFTER = 1
const STRIKES = 2
const STRIKE_WITHIN = 2_000 // a connection that ends later than this after a write ended for another reason
const TOO_OLD = 6 * 86_400_000 // the server knows an op_id for seven days
const RESTORED = "The server was restored from a backup since this was asked for. Look at what is there now, and do it again if it is still right."
const QUARANTINED = "The connection ended twice when this was sent, so it is not sent again by itself. It may have been written. Look at what is there now, then try again or discard it."
const UNKNOWN = "This was asked for more than six days ago, and it is not known whether it was written. Look at what is there now, and do it again if it is still missing."
const NOT_SENT = "This waited for more than six days and was not sent. Do it again if it is still right."

export class Outbox {
  /** What the server takes, as far as it is known: {message, batch}. */
  limits = DEFAULT_LIMITS

  #writes = [] // in the order in which they were asked for
  #quarantined = new Map() // op_id → the write
  #onTheWire = 0
  #window // how many writes may be on the wire
  #connected = false
  #paused = null // a timer, while the server has asked us to wait
  #send
  #later
  #makeId
  #changed
  #quarantines
  #ended
  #held
  #limit
  #now

  /**
   * `send(verb, payload, answered)` puts a write on the wire; `answered(body)` is called at most once, with the
   * server's answer. `later(seconds, fn)`, `makeId()` and `now()`, the server's time in milliseconds, are time and randomness.
   * `changed()` is called when `pending` or `quarantined` is another than before, `quarantines(write)` when a write is quarantined,
   * `ended()` when the server says that the session has ended.
   * `held` is the replica: what a write relies on.
   */
  constructor({
    send,
    later,
    makeId,
    changed = () => {},
    quarantines = () => {},
    ended = () => {},
    held = { dataSet: null, entries: new Map() },
    limit = ON_THE_WIRE,
    now = Date.now,
  }) {
    this.#send = send
    this.#later = later
    this.#makeId = makeId
    this.#changed = changed
    this.#quarantines = quarantines
    this.#ended = ended
    this.#held = held
    this.#limit = this.#window = limit
    this.#now = now
  }

  /** The writes that wait for their acknowledgement, oldest first: {verb, payload, keys, prefixes, epoch, at, sent}. */
  get pending() {
    return this.#writes.map(({ verb, payload, keys, prefixes, epoch, at, sent }) => ({ verb, payload, keys, prefixes, epoch, at, sent }))
  }

  /** The writes that are kept and not sent, as in `pending`. */
  get quarantined() {
    return [...this.#quarantined.values()].map(({ verb, payload, keys, prefixes, epoch, at }) => ({ verb, payload, keys, prefixes, epoch, at, sent: false }))
  }

  /** For how long, in milliseconds, the oldest write on the wire has waited for its answer; 0 when there is none. */
  unansweredFor() {
    const oldest = this.#writes.find(({ sent }) => sent)
    return oldest ? this.#now() - oldest.sentAt : 0
  }

  /** Whether a write that is on the wire passes this test: its change arrives before its acknowledgement. */
  awaits(test) {
    return this.#writes.some((write) => write.sent && test(write))
  }

  /**
   * Resolves with the answer once the write is durable; rejects with the Refusal. It touches `keys`, and whatever else the
   * server may find under `prefixes`. The revisions that it relies on are those of the data set `epoch`. `at` is when it was
   * asked for, if that was in another tab or before a reload; it may then have been sent already.
   */
  put(verb, payload, keys, prefixes = [], epoch = this.#held.dataSet, at = null) {
    return new Promise((resolve, reject) => {
      const op_id = payload.op_id ?? this.#makeId()
      const write = { verb, payload: { ...payload, op_id }, keys, prefixes, epoch, at: at ?? this.#now(), sent: false, everSent: at !== null, sentAt: 0, attempt: 0, tries: 0, strikes: 0, resolve, reject }
      const refusal = this.#tooLarge(write)
      if (refusal) return reject(refusal)
      this.#writes.push(write)
      this.#sendMore()
      this.#changed()
    })
  }

  /** Takes over a write that was quarantined in another tab or before a reload. */
  hold({ verb, payload, keys, prefixes, epoch, at }) {
    this.#quarantined.set(payload.op_id, { verb, payload, keys, prefixes, epoch, at })
    this.#changed()
  }

  /** Sends a quarantined write after all: as `put`. It has the same `op_id`, so it is not written twice. */
  retry(op_id) {
    const { verb, payload, keys, prefixes, epoch, at } = this.#taken(op_id)
    return this.put(verb, payload, keys, prefixes, epoch, at)
  }

  /** Drops a quarantined write. */
  discard(op_id) {
    this.#taken(op_id)
    this.#changed()
  }

  /**
   * A connection stands, and what is held is the server's: send whatever is unanswered, in order. After a restored backup the revisions
   * are those of other writes: what relies on them is a conflict.
   */
  connected() {
    const { dataSet } = this.#held
    for (const write of this.#writes.filter(({ epoch, sent }) => !sent && epoch !== null && epoch !== dataSet)) if (relies(write)) this.#outdated(write)
    this.#connected = true
    this.#sendMore()
  }

  /**
   * The connection is lost: nothing that was on the wire will be answered there. When the peer ended it, one of these writes may be the
   * cause, so they are sent one by one until some are answered.
   */
  disconnected({ byPeer = false } = {}) {
    const unanswered = this.#writes.filter(({ sent }) => sent)
    this.#connected = false
    this.#resume()
    this.#onTheWire = 0
    for (const write of unanswered) write.sent = false
    if (byPeer && unanswered.length > 0) {
      this.#window = 1
      if (unanswered.length === 1 && this.#now() - unanswered[0].sentAt <= STRIKE_WITHIN) this.#strike(unanswered[0])
    }
    if (unanswered.length > 0 || this.#writes.length > 0) this.#changed()
  }

  /** There will be no connection any more: every waiting write fails with this refusal. */
  fail(refusal) {
    this.disconnected()
    const writes = this.#writes
    this.#writes = []
    for (const write of writes) write.reject(refusal)
    this.#changed()
  }

  #tooLarge({ verb, payload }) {
    const { message: limit } = this.limits
    const actual = messageBytes(verb, payload, limit)
    if (actual <= limit) return null
    const message = `This takes ${actual} bytes, and one write may take ${limit}. ${verb === "batch" ? "Split it into several batches." : "Store it in several keys."}`
    return new Refusal({ code: "too_large", message, limit, actual })
  }

  #tooOld(write) {
    if (Math.abs(this.#now() - write.at) <= TOO_OLD || repeatable(write)) return null
    if (write.everSent) return new Refusal({ code: "unknown_outcome", message: UNKNOWN })
    return new Refusal({ code: "unavailable", message: NOT_SENT })
  }

  #strike(write) {
    write.strikes += 1
    if (write.strikes < STRIKES) return
    this.#quarantined.set(write.payload.op_id, write)
    this.#settle(write, () => write.reject(new Refusal({ code: "quarantined", message: QUARANTINED, op_id: write.payload.op_id })))
    this.#quarantines(write)
  }

  #taken(op_id) {
    const write = this.#quarantined.get(op_id)
    if (!write) throw new TypeError(`there is no quarantined write ${op_id}`)
    this.#quarantined.delete(op_id)
    return write
  }

  #outdated(write) {
    const { crc: _, ...entry } = this.#held.entries.get(write.payload.key) ?? {}
    this.#settle(write, () => write.reject(new Refusal({ code: "conflict", message: RESTORED, entry: entry.key === undefined ? null : entry })))
    this.#changed()
  }

  #sendMore() {
    if (!this.#connected || this.#paused) return
    const refused = []
    for (const write of this.#writes) {
      if (this.#onTheWire >= this.#window) break
      if (write.sent) continue
      // What is stored here may be older than the limits, and a page may have slept for days.
      const refusal = this.#tooOld(write) ?? this.#tooLarge(write)
      if (refusal) refused.push([write, refusal])
      else this.#sendOne(write)
    }
    for (const [write, refusal] of refused) this.#settle(write, () => write.reject(refusal))
    if (refused.length > 0) this.#changed()
  }

  #sendOne(write) {
    // An answer that belongs to an earlier connection must not settle what was sent again on this one.
    const attempt = ++write.attempt
    write.sent = write.everSent = true
    write.sentAt = this.#now()
    this.#onTheWire += 1
    this.#send(write.verb, write.payload, (body) => {
      if (write.attempt === attempt && write.sent) this.#answered(write, body)
    })
  }

  #answered(write, body) {
    this.#onTheWire -= 1
    this.#window = Math.min(this.#window * 2, this.#limit)
    if (body.error?.code === "unauthenticated") return this.#hold(write)
    if (!body.ok && this.#mayRepeat(write, body.error)) return this.#wait(write, body.error)
    this.#settle(write, () => (body.ok ? write.resolve(body) : write.reject(new Refusal(body.error))))
    this.#sendMore()
    this.#changed()
  }

  /** The session has ended: nothing was written. The write waits for the next one, or for `fail`. */
  #hold(write) {
    write.sent = false
    this.#connected = false
    this.#changed()
    this.#ended()
  }

  #settle(write, tell) {
    this.#writes.splice(this.#writes.indexOf(write), 1)
    tell()
  }

  /** A busy server is asked again; but never once a later write to the same key is out, which we would overwrite. */
  #mayRepeat(write, error) {
    if (error.code !== "unavailable" && error.code !== "rate_limited") return false
    if (write.tries >= RETRIES) return false
    const later = this.#writes.slice(this.#writes.indexOf(write) + 1)
    return !later.some((other) => other.sent && (reaches(write, other) || reaches(other, write)))
  }

  #wait(write, error) {
    write.tries += 1
    write.sent = false
    this.#changed()
    if (this.#paused) return
    this.#paused = this.#later(error.retry_after ?? RETRY_AFTER, () => {
      this.#paused = null
      this.#sendMore()
    })
  }

  #resume() {
    this.#paused?.cancel()
    this.#paused = null
  }
}

/** Whether what a write does depends on which write a revision is. */
function relies({ verb, payload }) {
  return verb === "undo" || [payload, ...(payload.ops ?? [])].some(({ if_revision, revision }) => if_revision > 0 || revision !== undefined)
}

/**
 * Whether a write that was carried out cannot take effect a second time, even if the server has forgotten its `op_id`: every op names the
 * revision that it replaces, which no entry ever has again. (A key that must not exist may have been created and deleted since.)
 */
function repeatable({ verb, payload, everSent }) {
  const guarded = ({ if_revision }) => (everSent ? if_revision > 0 : if_revision !== undefined)
  return verb === "batch" ? payload.ops.every(guarded) : guarded(payload)
}

/** Whether one write touches what the other does, or may. */
function reaches(one, other) {
  const under = (text) => one.prefixes.some((prefix) => text.startsWith(prefix))
  return other.keys.some((key) => one.keys.includes(key) || under(key)) || other.prefixes.some(under)
}
