// The writes of this tab that are not yet known to be on the server's disk. Each has an `op_id`, chosen once, so
// that sending it again after a lost acknowledgement never writes twice; what is unanswered is sent again in the
// order in which it was asked for. Knows neither the DOM nor the socket: `send` is given by the connection.

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
const RESTORED = "The server was restored from a backup since this was asked for. Look at what is there now, and do it again if it is still right."

export class Outbox {
  #writes = [] // in the order in which they were asked for
  #onTheWire = 0
  #connected = false
  #paused = null // a timer, while the server has asked us to wait
  #send
  #later
  #makeId
  #changed
  #held
  #limit

  /**
   * `send(verb, payload, answered)` puts a write on the wire; `answered(body)` is called at most once, with the
   * server's answer. `later(seconds, fn)` and `makeId()` are time and randomness. `changed()` is called when `pending` is
   * another than before. `held` is the replica: what a write relies on.
   */
  constructor({ send, later, makeId, changed = () => {}, held = { dataSet: null, entries: new Map() }, limit = ON_THE_WIRE }) {
    this.#send = send
    this.#later = later
    this.#makeId = makeId
    this.#changed = changed
    this.#held = held
    this.#limit = limit
  }

  /** The writes that wait for their acknowledgement, oldest first: {verb, payload, keys, prefixes, epoch, sent}. */
  get pending() {
    return this.#writes.map(({ verb, payload, keys, prefixes, epoch, sent }) => ({ verb, payload, keys, prefixes, epoch, sent }))
  }

  /** Whether a write that is on the wire passes this test: its change arrives before its acknowledgement. */
  awaits(test) {
    return this.#writes.some((write) => write.sent && test(write))
  }

  /**
   * Resolves with the answer once the write is durable; rejects with the Refusal. It touches `keys`, and whatever else the
   * server may find under `prefixes`. The revisions that it relies on are those of the data set `epoch`.
   */
  put(verb, payload, keys, prefixes = [], epoch = this.#held.dataSet) {
    return new Promise((resolve, reject) => {
      const op_id = payload.op_id ?? this.#makeId()
      const write = { verb, payload: { ...payload, op_id }, keys, prefixes, epoch, sent: false, attempt: 0, tries: 0, resolve, reject }
      this.#writes.push(write)
      this.#sendMore()
      this.#changed()
    })
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

  /** The connection is lost: nothing that was on the wire will be answered there. */
  disconnected() {
    this.#connected = false
    this.#resume()
    this.#onTheWire = 0
    for (const write of this.#writes) write.sent = false
    if (this.#writes.length > 0) this.#changed()
  }

  /** There will be no connection any more: every waiting write fails with this refusal. */
  fail(refusal) {
    this.disconnected()
    const writes = this.#writes
    this.#writes = []
    for (const write of writes) write.reject(refusal)
    this.#changed()
  }

  #outdated(write) {
    this.#writes.splice(this.#writes.indexOf(write), 1)
    const { crc: _, ...entry } = this.#held.entries.get(write.payload.key) ?? {}
    write.reject(new Refusal({ code: "conflict", message: RESTORED, entry: entry.key === undefined ? null : entry }))
    this.#changed()
  }

  #sendMore() {
    if (!this.#connected || this.#paused) return
    for (const write of this.#writes) {
      if (this.#onTheWire >= this.#limit) return
      if (!write.sent) this.#sendOne(write)
    }
  }

  #sendOne(write) {
    // An answer that belongs to an earlier connection must not settle what was sent again on this one.
    const attempt = ++write.attempt
    write.sent = true
    this.#onTheWire += 1
    this.#send(write.verb, write.payload, (body) => {
      if (write.attempt === attempt && write.sent) this.#answered(write, body)
    })
  }

  #answered(write, body) {
    this.#onTheWire -= 1
    if (!body.ok && this.#mayRepeat(write, body.error)) return this.#wait(write, body.error)
    this.#writes.splice(this.#writes.indexOf(write), 1)
    if (body.ok) write.resolve(body)
    else write.reject(new Refusal(body.error))
    this.#sendMore()
    this.#changed()
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

/** Whether one write touches what the other does, or may. */
function reaches(one, other) {
  const under = (text) => one.prefixes.some((prefix) => text.startsWith(prefix))
  return other.keys.some((key) => one.keys.includes(key) || under(key)) || other.prefixes.some(under)
}
