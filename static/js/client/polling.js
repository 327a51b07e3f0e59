// Socket.IO's long polling. Loads the module that makes its requests on first use: most networks allow WebSocket.

import { Fetch } from "../vendor/socket.io.esm.min.js"

export class Polling extends Fetch {
  /** @type {import("./requests.js").Requests | null} */
  #requests = null

  doOpen() {
    import("./requests.js").then(
      ({ Requests }) => {
        if (this.readyState !== "opening") return
        this.#requests = new Requests(this)
        super.doOpen()
      },
      (error) => this.onError("polling could not be loaded", error),
    )
  }

  doPoll() {
    this.#requests?.poll()
  }

  /** @param {string} data @param {() => void} written */
  doWrite(data, written) {
    this.#requests?.write(data, written)
  }

  doClose() {
    this.#requests?.close()
  }

  /** Abort every request under way. */
  abort() {
    this.#requests?.abort()
  }
}
