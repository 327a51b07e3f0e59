// What stands for socket.io's client where models are tested without a browser: a line whose two ends the test holds. Nothing is
// answered but by the test, so every order in which things can arrive can be had.

export class Line {
  static last = null

  connected = false
  active = false
  sendBuffer = []
  io = { opts: { transports: ["websocket", "polling"] }, engine: { transport: { name: "websocket" } }, on: () => {}, timeout: () => {} }
  /** What `identify` is answered; null: nothing. */
  identity = {
    user: { username: "ada" },
    session: { id: "s1", label: "Firefox on Linux" },
    limits: { key: 512, value: 65_536, batch: 128, message: 1_048_576 },
    server: { version: "1", build: "b1", time: new Date().toISOString() },
  }
  /** What the page has sent and was not answered yet: [{verb, payload, answer(body), lose()}]. */
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
    return { emit: (verb, payload, answered) => this.#send(verb, payload, (body) => (body ? answered(null, body) : answered(new Error("lost")))) }
  }

  connect() {
    this.active = true
  }

  disconnect() {
    this.active = false
    if (this.connected) this.#lost("io client disconnect")
  }

  // --- the other end ---

  /** The connection stands. */
  opens() {
    this.connected = this.active = true
    this.push("connect")
  }

  /** It is lost, with whatever was on it. */
  breaks() {
    this.#lost("transport close")
  }

  push(event, detail) {
    this.#listeners.get(event)?.(detail && structuredClone(detail))
  }

  /** Answers the oldest request with this verb: with what `answer` makes of its payload. */
  answer(verb, answer) {
    const at = this.sent.findIndex((request) => request.verb === verb)
    if (at < 0) throw new Error(`nobody has asked for ${verb}`)
    const [request] = this.sent.splice(at, 1)
    request.answered(structuredClone({ ok: true, ...(typeof answer === "function" ? answer(request.payload) : answer) }))
    return request.payload
  }

  /** Nobody answers the oldest request with this verb, and its time runs out. */
  lose(verb) {
    const at = this.sent.findIndex((request) => request.verb === verb)
    const [request] = this.sent.splice(at, 1)
    request.answered(null)
  }

  refuse(verb, error) {
    return this.answer(verb, { ok: false, error })
  }

  /** The verbs that wait for an answer, in their order. */
  get waiting() {
    return this.sent.map(({ verb }) => verb)
  }

  #send(verb, payload, answered) {
    if (verb === "identify" && this.identity) return queueMicrotask(() => answered({ ok: true, ...structuredClone(this.identity) }))
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
  return (Line.last = new Line())
}
