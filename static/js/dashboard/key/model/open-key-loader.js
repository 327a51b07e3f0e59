// Stand-in for open-key.js until the first key is opened: nothing is open, and every action loads open-key.js. No DOM.

import { once, standIn } from "../../shared/lazy.js"

/** @import { DashboardModel } from "../../dashboard-model.js" */

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
    standIn(this, ["openKey", "startNew", "remove", "adopt"], model.page, "The editor")
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
