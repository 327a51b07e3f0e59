// Undo and redo, as the desk has them. What does it (undoing.js, with the same methods) comes with the first thing that was done.
// No DOM.

export class Undo {
  #desk
  #loading = null
  #undoing = null
  #offered = []

  constructor(desk) {
    this.#desk = desk
  }

  get possible() {
    return this.#undoing?.possible ?? false
  }
  get repeatable() {
    return this.#undoing?.repeatable ?? false
  }

  /** What was done before it is there is told it then. */
  offer(...done) {
    this.#offered.push(done)
    this.load().catch(() => {})
  }

  last() {
    return this.#call("last")
  }

  redo() {
    return this.#call("redo")
  }

  take(...what) {
    return this.#call("take", ...what)
  }

  async load() {
    // without a connection the next one asks again
    this.#loading ??= import("./undoing.js").finally(() => (this.#loading = null))
    const { Undoing } = await this.#loading
    this.#undoing ??= new Undoing(this.#desk)
    for (const done of this.#offered.splice(0)) this.#undoing.offer(...done)
    return this.#undoing
  }

  async #call(name, ...what) {
    try {
      await this.load()
    } catch (error) {
      this.#desk.page.failedToLoad(error)
      return this.#desk.page.toast("Nothing was undone: this part of the page could not be loaded. Try again when the connection is back.")
    }
    return this.#undoing[name](...what)
  }
}
