// A stand-in for socket.io's client, for tests of models without a browser: a connection whose two ends the test
// controls. Only the test answers requests (but `identify`), so it can produce every order of arrival.

export class Line {
  static last = null

  connected = false
  active = false
  sendBuffer = []
  io = {
    opts: { transports: ["websocket", "polling"] },
    engine: { transport: { name: "websocket" } },
    on: () => {},
    timeout: () => {},
  }
  /** The answer to `identify`; null: none. */
  identity = {
    user: { username: "ada" },
    session: { id: "s1", label: "Firefox on Linux" },
    limits: { key: 512, value: 65_536, batch: 128, message: 1_048_576 },
    server: { version: "1", build: "b1", time: new Date().toISOString() },
  }
  /** The unanswered requests of the page: [{verb, payload, answered(body)}]. */
  sent = []

  #listeners = new Map()

  on(event, fn) {
    this.#listeners.set(event, fn)
  }

  once() {}

  emit(verb, payload, answered) {
    this.#send(verb, payload, (body) => body && answered(body))
  }

  timeout() {
    return {
      emit: (verb, payload, answered) =>
        this.#send(verb, payload, (body) => (body ? answered(null, body) : answered(new Error("lost")))),
    }
  }

  connect() {
    this.active = true
  }

  disconnect() {
    this.active = false
    if (this.connected) this.#lost("io client disconnect")
  }

  // --- the server's end ---

  /** Open the connection. */
  opens() {
    this.connected = this.active = true
    this.push("connect")
  }

  /** Lose the connection and every unanswered request. */
  breaks() {
    this.#lost("transport close")
  }

  push(event, detail) {
    this.#listeners.get(event)?.(detail && structuredClone(detail))
  }

  /** Answer the oldest request with this verb: with `answer`, or with the result of `answer(payload)`. */
  answer(verb, answer) {
    const at = this.sent.findIndex((request) => request.verb === verb)
    if (at < 0) throw new Error(`nobody has asked for ${verb}`)
    const [request] = this.sent.splice(at, 1)
    request.answered(
      structuredClone({ ok: true, ...(typeof answer === "function" ? answer(request.payload) : answer) }),
    )
    return request.payload
  }

  /** Let the oldest request with this verb time out. */
  lose(verb) {
    const at = this.sent.findIndex((request) => request.verb === verb)
    const [request] = this.sent.splice(at, 1)
    request.answered(null)
  }

  refuse(verb, error) {
    return this.answer(verb, { ok: false, error })
  }

  /** The verbs of the unanswered requests, in order. */
  get waiting() {
    return this.sent.map(({ verb }) => verb)
  }

  #send(verb, payload, answered) {
    if (verb === "identify" && this.identity)
      return queueMicrotask(() => answered({ ok: true, ...structuredClone(this.identity) }))
    this.sent.push({ verb, payload: structuredClone(payload), answered })
  }

  #lost(reason) {
    this.connected = false
    const lost = this.sent
    this.sent = []
    this.push("disconnect", reason)
    for (const { answered } of lost) answered(null)
  }
}

export class Fetch {}
export class WebSocket {}

export function io() {
  Line.last = new Line()
  return Line.last
}
