// Stand-in for open-key.js until the first key is opened: nothing is open, and every action loads open-key.js. No DOM.

import { call, once } from "../../shared/lazy.js"

const DEEDS = ["openKey", "startNew", "remove", "adopt"]

export class Closed {
  open = null
  fresh = null
  unsaved = []
  strays = []
  edited = []
  typed = false

  #desk

  constructor(desk) {
    this.#desk = desk
    const failed = (error) => {
      desk.page.failedToLoad(error)
      desk.page.toast("The editor could not be loaded. Try again when the connection is back.")
    }
    for (const name of DEEDS) this[name] = call(this.load, name, failed)
  }

  hasDraft() {
    return false
  }
  changed() {}
  moved() {}
  begin() {}
  close() {}

  /** Load open-key.js if the address names a key. */
  follow({ key }) {
    if (key !== null) this.load().catch(() => {})
  }

  /** Load open-key.js and replace this object by an `Opened`. */
  load = once(async () => {
    const { Opened } = await import("./open-key.js")
    this.#desk.opened = new Opened(this.#desk)
    this.#desk.opened.follow(this.#desk.route)
    this.#desk.redraw()
    return this.#desk.opened
  })
}
