// The requests of Socket.IO's long polling, each with a time limit. On a network that drops packets, a request without
// one waits for minutes and occupies one of the few connections that a browser opens to a server.

const OPEN_WITHIN = 5_000
const POLL_WITHIN = 60_000 // the server answers at least every 25 seconds
const WRITE_WITHIN = 10_000
const SLOWEST = 16 // minimum upload speed that the time limit of a request body assumes, in bytes per millisecond

export class Requests {
  #transport
  /** @type {Set<AbortController>} */
  #underWay = new Set() // of each request

  /**
   * `transport` is the Polling that makes the requests.
   * @param {any} transport
   */
  constructor(transport) {
    this.#transport = transport
  }

  poll() {
    const within = this.#transport.readyState === "opening" ? OPEN_WITHIN : POLL_WITHIN
    this.#ask(within).then(
      (text) => this.#transport.onData(text),
      (error) => this.#failed("read", error),
    )
  }

  /** @param {string} data @param {() => void} written */
  write(data, written) {
    this.#ask(WRITE_WITHIN + data.length / SLOWEST, data).then(
      () => written(),
      (error) => this.#failed("write", error),
    )
  }

  close() {
    const open = this.#transport.readyState === "open"
    this.abort()
    if (open) this.#ask(WRITE_WITHIN, "1").catch(() => {}) // engine.io's packet "close"
  }

  abort() {
    for (const request of this.#underWay) request.abort()
    this.#underWay.clear()
  }

  /** @param {number} within @param {string} [body] */
  async #ask(within, body) {
    const request = new AbortController()
    this.#underWay.add(request)
    const timer = setTimeout(() => request.abort(new Error("no answer in time")), within)
    try {
      const answer = await fetch(this.#transport.uri(), {
        method: body === undefined ? "GET" : "POST",
        body,
        headers: body === undefined ? {} : { "Content-Type": "text/plain;charset=UTF-8" },
        credentials: "same-origin",
        cache: "no-store",
        signal: request.signal,
      })
      if (!answer.ok) throw new Error(`status ${answer.status}`)
      return await answer.text()
    } finally {
      clearTimeout(timer)
      this.#underWay.delete(request)
    }
  }

  /** @param {string} what @param {unknown} error */
  #failed(what, error) {
    if (this.#transport.readyState !== "closed") this.#transport.onError(`polling ${what} error`, error)
  }
}
