// Socket.IO's long polling with a time limit on every request: on a network that swallows packets a request without one waits for
// minutes, and holds one of the few connections that a browser opens to a server.

import { Fetch } from "./vendor/socket.io.esm.min.js"

const OPEN_WITHIN = 5_000
const POLL_WITHIN = 60_000 // the server answers at least every 25 seconds
const WRITE_WITHIN = 10_000
const SLOWEST = 16 // bytes a millisecond that a request body is given

export class Polling extends Fetch {
  #requests = new Set() // an AbortController for each

  doPoll() {
    const within = this.readyState === "opening" ? OPEN_WITHIN : POLL_WITHIN
    this.#ask(within).then(
      (text) => this.onData(text),
      (error) => this.#failed("read", error),
    )
  }

  doWrite(data, written) {
    this.#ask(WRITE_WITHIN + data.length / SLOWEST, data).then(
      () => written(),
      (error) => this.#failed("write", error),
    )
  }

  doClose() {
    const open = this.readyState === "open"
    this.abort()
    if (open) this.#ask(WRITE_WITHIN, "1").catch(() => {}) // engine.io's packet "close"
  }

  /** Ends every request under way. */
  abort() {
    for (const request of this.#requests) request.abort()
    this.#requests.clear()
  }

  async #ask(within, body) {
    const request = new AbortController()
    this.#requests.add(request)
    const timer = setTimeout(() => request.abort(new Error("no answer in time")), within)
    try {
      const answer = await fetch(this.uri(), {
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
      this.#requests.delete(request)
    }
  }

  #failed(what, error) {
    if (this.readyState !== "closed") this.onError(`polling ${what} error`, error)
  }
}
