// Undo and redo for the model. The implementation, undo.js with the same methods, is loaded with the first undoable
// action. No DOM.

import { once, standIn } from "../shared/lazy.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

export class Undo {
  #model
  /** @type {import("./undo.js").UndoManager | null} */
  #undoing = null
  #offered = []

  /** @param {DashboardModel} model */
  constructor(model) {
    this.#model = model
    standIn(this, ["last", "redo", "take"], model.page, "Nothing was undone: this part of the page")
  }

  get possible() {
    return this.#undoing?.possible ?? false
  }
  get repeatable() {
    return this.#undoing?.repeatable ?? false
  }

  /** Queue an undoable action until undo.js is loaded. */
  offer(...done) {
    this.#offered.push(done)
    this.load().catch(() => {})
  }

  load = async () => {
    const undoing = await this.#loaded()
    for (const done of this.#offered.splice(0)) undoing.offer(...done)
    return undoing
  }

  #loaded = once(async () => {
    const { UndoManager } = await import("./undo.js")
    this.#undoing = new UndoManager(this.#model)
    return this.#undoing
  })
}
