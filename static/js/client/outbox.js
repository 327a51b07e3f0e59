// The outbox: this tab's writes that are not yet known to be on the server's disk. Each has an `op_id` (idempotency
// key), chosen once, so sending it again after a lost acknowledgement never writes twice. Unanswered writes are sent
// again in the order of the calls. Uses neither the DOM nor the socket: the connection provides `send`.
//
// Three kinds of writes are not sent (again), and each is reported by a Refusal:
// 1. `too_large`: it exceeds the server's message limit; the server would close the connection.
// 2. `quarantined`: the peer closed the connection twice right after it was sent alone. It stays in `quarantined` until
//    `retry` or `discard` is called.
// 3. `unknown_outcome`: it may have been sent, but so long ago that the server no longer remembers its `op_id`, and
//    nothing in it prevents a second effect.
// Longer than 320 lines: the states of a write, and every rule that changes them.

import { DEFAULT_LIMITS, messageBytes } from "./sizes.js"

/**
 * @import { Entry, HeldEntry } from "./replica.js"
 * @import { Limits } from "./sizes.js"
 */
/** @typedef {{ ok: true, [name: string]: any } | { ok: false, error: ProtocolError }} Answer */
/** @typedef {{ code: string, message?: string, [name: string]: any }} ProtocolError */
/**
 * The fields that some refusals have. `entry`: the current one, null if there is none; `retry_after` in seconds.
 * @typedef {{
 *   entry?: Entry | null, key?: string, op_id?: string, retry_after?: number, deleted_at?: string, limit?: number,
 *   actual?: number, kept?: boolean, ticket?: string, needs?: string, request_id?: string, origin?: string,
 *   server?: string, setting?: string
 * }} RefusalFields
 */
/** @typedef {Record<string, any>} Payload The fields of a verb, as the protocol names them. */
/**
 * A pending write: it touches `keys` and any keys under `prefixes`, and relies on revisions of the epoch `epoch`.
 * @typedef {{
 *   verb: string, payload: Payload, keys: string[], prefixes: string[],
 *   epoch: string | null, at: number, sent: boolean
 * }} PendingWrite
 */
/** @typedef {Omit<PendingWrite, "sent">} StoredWrite */
/**
 * @typedef {PendingWrite & {
 *   everSent: boolean, sentAt: number, attempt: number, tries: number, strikes: number,
 *   resolve(answer: any): void, reject(refusal: Refusal): void
 * }} QueuedWrite
 */

/** A refused request, or one of unknown outcome: `code`, `message`, and the other fields of the protocol's error. */
export class Refusal extends /** @type {new (message?: string) => Error & RefusalFields} */ (Error) {
  /** @param {ProtocolError} error */
  constructor({ code, message, ...extra }) {
    super(message ?? code)
    this.name = "Refusal"
    this.code = code
    Object.assign(this, extra)
  }
}

const ON_THE_WIRE = 240 // the server stops reading at 256 unanswered; the others are reserved for reads and the sync
const RETRIES = 5
const RETRY_AFTER = 1
const STRIKES = 2
const STRIKE_WITHIN = 2_000 // a connection that ends later than this after a write ended for another reason
const TOO_OLD = 6 * 86_400_000 // the server knows an op_id for seven days
const RESTORED =
  "The server was restored from a backup since this was asked for. Look at what is there now, and do it again if it is still right."
const QUARANTINED =
  "The connection ended twice when this was sent. It may have been written: look, then try again or discard it."
const UNKNOWN =
  "This was asked for more than six days ago, and it is not known whether it was written. Look at what is there now, and do it again if it is still missing."
const NOT_SENT = "This waited for over six days and was not sent. Repeat it if it is still right."

export class Outbox {
  /**
   * The server's limits, as far as they are known.
   * @type {Limits}
   */
  limits = DEFAULT_LIMITS

  /** @type {QueuedWrite[]} */
  #writes = [] // in the order of the calls
  /** @type {Map<string, StoredWrite>} */
  #quarantined = new Map() // op_id → the write
  #onTheWire = 0
  #window // maximum of writes in flight
  #connected = false
  /** @type {{ cancel(): void } | null} */
  #paused = null // a timer, while the server has asked to wait
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
   * `send(verb, payload, answered)` sends a write; `answered(body)` is called at most once, with the server's answer.
   * Time and randomness are injected: `later(seconds, fn)`, `makeId()` and `now()`, the server's time in milliseconds.
   * `changed()` is called when `pending` or `quarantined` has changed, `quarantines(write)` when a write is
   * quarantined, `ended()` when the server reports that the session has ended.
   * `held` is the replica that the revisions in writes refer to.
   *
   * @param {{
   *   send(verb: string, payload: Payload, answered: (body: Answer) => void): void,
   *   later(seconds: number, fn: () => void): { cancel(): void },
   *   makeId(): string,
   *   changed?: () => void,
   *   quarantines?: (write: StoredWrite) => void,
   *   ended?: () => void,
   *   held?: { dataSet: string | null, entries: Map<string, HeldEntry> },
   *   limit?: number,
   *   now?: () => number,
   * }} parts
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

  /**
   * The writes that are not acknowledged yet, oldest first: {verb, payload, keys, prefixes, epoch, at, sent}.
   * @returns {PendingWrite[]}
   */
  get pending() {
    return this.#writes.map(shown)
  }

  /**
   * The quarantined writes, in the shape of `pending`.
   * @returns {PendingWrite[]}
   */
  get quarantined() {
    return [...this.#quarantined.values()].map((write) => shown({ ...write, sent: false }))
  }

  /** Return for how many milliseconds the oldest write in flight has waited for its answer; 0 if there is none. */
  unansweredFor() {
    const oldest = this.#writes.find(({ sent }) => sent)
    return oldest ? this.#now() - oldest.sentAt : 0
  }

  /**
   * Return whether a write in flight passes this test: its change arrives before its acknowledgement.
   * @param {(write: QueuedWrite) => boolean} test
   */
  awaits(test) {
    return this.#writes.some((write) => write.sent && test(write))
  }

  /**
   * Queue a write. Resolves with the answer once the write is durable; rejects with the Refusal. It touches `keys`, and
   * any other keys of the server under `prefixes`. The revisions that it relies on belong to the epoch `epoch`. `at` is
   * the time of the call if that was in another tab or before a reload; the write may then have been sent already.
   * @param {string} verb
   * @param {Payload} payload
   * @param {string[]} keys
   * @param {string[]} prefixes
   * @param {string | null} epoch
   * @param {number | null} at
   * @returns {Promise<any>}
   */
  put(verb, payload, keys, prefixes = [], epoch = this.#held.dataSet, at = null) {
    return new Promise((resolve, reject) => {
      const op_id = payload.op_id ?? this.#makeId()
      const write = {
        verb,
        payload: { ...payload, op_id },
        keys,
        prefixes,
        epoch,
        at: at ?? this.#now(),
        sent: false,
        everSent: at !== null,
        sentAt: 0,
        attempt: 0,
        tries: 0,
        strikes: 0,
        resolve,
        reject,
      }
      const refusal = this.#tooLarge(write)
      if (refusal) return reject(refusal)
      this.#writes.push(write)
      this.#sendMore()
      this.#changed()
    })
  }

  /**
   * Take over a write that was quarantined in another tab or before a reload.
   * @param {StoredWrite} write
   */
  hold({ verb, payload, keys, prefixes, epoch, at }) {
    this.#quarantined.set(payload.op_id, { verb, payload, keys, prefixes, epoch, at })
    this.#changed()
  }

  /**
   * Send a quarantined write, like `put`. It keeps its `op_id`, so it is not written twice.
   * @param {string} op_id
   */
  retry(op_id) {
    const { verb, payload, keys, prefixes, epoch, at } = this.#taken(op_id)
    return this.put(verb, payload, keys, prefixes, epoch, at)
  }

  /**
   * Drop a quarantined write.
   * @param {string} op_id
   */
  discard(op_id) {
    this.#taken(op_id)
    this.#changed()
  }

  /**
   * The connection is up and the replica in sync: send all unanswered writes, in order. After a restored backup the
   * revisions belong to other writes, so a write that relies on one is a conflict.
   */
  connected() {
    const { dataSet } = this.#held
    for (const write of this.#writes.filter(({ epoch, sent }) => !sent && epoch !== null && epoch !== dataSet))
      if (relies(write)) this.#outdated(write)
    this.#connected = true
    this.#sendMore()
  }

  /**
   * The connection is lost, and the writes in flight will not be answered on it. If the peer closed it, one of these
   * writes may be the cause, so they are sent one by one until some are answered.
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

  /**
   * Reject every pending write with this refusal: there will be no further connection.
   * @param {Refusal} refusal
   */
  fail(refusal) {
    this.disconnected()
    const writes = this.#writes
    this.#writes = []
    for (const write of writes) write.reject(refusal)
    this.#changed()
  }

  /** @param {QueuedWrite} write */
  #tooLarge({ verb, payload }) {
    const { message: limit } = this.limits
    const actual = messageBytes(verb, payload, limit)
    if (actual <= limit) return null
    const message = `This takes ${actual} bytes, and one write may take ${limit}. ${verb === "batch" ? "Split it into several batches." : "Store it in several keys."}`
    return new Refusal({ code: "too_large", message, limit, actual })
  }

  /** @param {QueuedWrite} write */
  #tooOld(write) {
    if (Math.abs(this.#now() - write.at) <= TOO_OLD || repeatable(write)) return null
    if (write.everSent) return new Refusal({ code: "unknown_outcome", message: UNKNOWN })
    return new Refusal({ code: "unavailable", message: NOT_SENT })
  }

  /** @param {QueuedWrite} write */
  #strike(write) {
    write.strikes += 1
    if (write.strikes < STRIKES) return
    this.#quarantined.set(write.payload.op_id, write)
    this.#settle(write, () =>
      write.reject(new Refusal({ code: "quarantined", message: QUARANTINED, op_id: write.payload.op_id })),
    )
    this.#quarantines(write)
  }

  /** @param {string} op_id */
  #taken(op_id) {
    const write = this.#quarantined.get(op_id)
    if (!write) throw new TypeError(`there is no quarantined write ${op_id}`)
    this.#quarantined.delete(op_id)
    return write
  }

  /** @param {QueuedWrite} write */
  #outdated(write) {
    const held = this.#held.entries.get(write.payload.key)
    const { crc: _, ...entry } = held ?? {}
    this.#settle(write, () =>
      write.reject(new Refusal({ code: "conflict", message: RESTORED, entry: held ? entry : null })),
    )
    this.#changed()
  }

  #sendMore() {
    if (!this.#connected || this.#paused) return
    /** @type {[QueuedWrite, Refusal][]} */
    const refused = []
    for (const write of this.#writes) {
      if (this.#onTheWire >= this.#window) break
      if (write.sent) continue
      // A stored write may be older than the server's present limits, and a page may have slept for days.
      const refusal = this.#tooOld(write) ?? this.#tooLarge(write)
      if (refusal) refused.push([write, refusal])
      else this.#sendOne(write)
    }
    for (const [write, refusal] of refused) this.#settle(write, () => write.reject(refusal))
    if (refused.length > 0) this.#changed()
  }

  /** @param {QueuedWrite} write */
  #sendOne(write) {
    // An answer on an earlier connection must not settle a write that was sent again on this one.
    const attempt = ++write.attempt
    write.sent = write.everSent = true
    write.sentAt = this.#now()
    this.#onTheWire += 1
    this.#send(write.verb, write.payload, (body) => {
      if (write.attempt === attempt && write.sent) this.#answered(write, body)
    })
  }

  /** @param {QueuedWrite} write @param {Answer} body */
  #answered(write, body) {
    this.#onTheWire -= 1
    this.#window = Math.min(this.#window * 2, this.#limit)
    if (body.error?.code === "unauthenticated") return this.#hold(write)
    if (!body.ok && this.#mayRepeat(write, body.error)) return this.#wait(write, body.error)
    this.#settle(write, () => (body.ok ? write.resolve(body) : write.reject(new Refusal(body.error))))
    this.#sendMore()
    this.#changed()
  }

  /**
   * The session has ended and nothing was written: the write waits for the next session, or for `fail`.
   * @param {QueuedWrite} write
   */
  #hold(write) {
    write.sent = false
    this.#connected = false
    this.#changed()
    this.#ended()
  }

  /** @param {QueuedWrite} write @param {() => void} tell */
  #settle(write, tell) {
    this.#writes.splice(this.#writes.indexOf(write), 1)
    tell()
  }

  /**
   * Return whether to retry after this error of a busy server: not after a later write to the same key was sent.
   * @param {QueuedWrite} write
   * @param {ProtocolError} error
   */
  #mayRepeat(write, error) {
    if (error.code !== "unavailable" && error.code !== "rate_limited") return false
    if (write.tries >= RETRIES) return false
    const later = this.#writes.slice(this.#writes.indexOf(write) + 1)
    return !later.some((other) => other.sent && (reaches(write, other) || reaches(other, write)))
  }

  /** @param {QueuedWrite} write @param {ProtocolError} error */
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

/**
 * Return a write as callers see it.
 * @param {PendingWrite} write
 */
function shown({ verb, payload, keys, prefixes, epoch, at, sent }) {
  return { verb, payload, keys, prefixes, epoch, at, sent }
}

/**
 * Return whether the effect of a write depends on a revision that it names.
 * @param {QueuedWrite} write
 */
function relies({ verb, payload }) {
  return (
    verb === "undo" ||
    [payload, ...(payload.ops ?? [])].some(({ if_revision, revision }) => if_revision > 0 || revision !== undefined)
  )
}

/**
 * Return whether an executed write cannot take effect a second time, even if the server has forgotten its `op_id`:
 * every op names the revision that it replaces, which no entry ever has again. (A key that must not exist may have been
 * created and deleted since.)
 * @param {QueuedWrite} write
 */
function repeatable({ verb, payload, everSent }) {
  /** @type {(op: Payload) => boolean} */
  const guarded = ({ if_revision }) => (everSent ? if_revision > 0 : if_revision !== undefined)
  return verb === "batch" ? payload.ops.every(guarded) : guarded(payload)
}

/**
 * Return whether `one` touches, or may touch, a key of `other`.
 * @param {QueuedWrite} one
 * @param {QueuedWrite} other
 */
function reaches(one, other) {
  const under = (/** @type {string} */ text) => one.prefixes.some((prefix) => text.startsWith(prefix))
  return other.keys.some((key) => one.keys.includes(key) || under(key)) || other.prefixes.some(under)
}
