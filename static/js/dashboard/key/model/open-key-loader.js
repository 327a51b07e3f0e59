// Stand-in for open-key.js until the first key is opened: nothing is open, and every action loads open-key.js. No DOM.

import { call, once } from "../../shared/lazy.js"

/** @import { DashboardModel } from "../../dashboard-model.js" */

const DEEDS = ["openKey", "startNew", "remove", "adopt"]

export class OpenKeyStub {
  open = null
  fresh = null
  unsaved = []
  strays = []
  edited = []
  typed = false

  #model

  /** @param {DashboardModel} model */
  constructor(model) {
    this.#model = model
    const failed = (error) => {
      model.page.failedToLoad(error)
      model.page.toast("The editor could not be loaded. Try again when the connection is back.")
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

  /** Load open-key.js and replace this object by an `OpenKey`. */
  load = once(async () => {
    const { OpenKey } = await import("./open-key.js")
    this.#model.opened = new OpenKey(this.#model)
    this.#model.opened.follow(this.#model.route)
    this.#model.redraw()
    return this.#model.opened
  })
}
