// Before the first key is opened: nothing is open, and whatever is asked for is done by opened.js, which comes with it. No DOM.

const DEEDS = ["openKey", "startNew", "remove", "adopt"]

export class Closed {
  open = null
  fresh = null
  unsaved = []
  strays = []
  edited = []
  typed = false

  #desk
  #loading = null

  constructor(desk) {
    this.#desk = desk
    for (const name of DEEDS) this[name] = (...what) => this.#call(name, what)
  }

  hasDraft() {
    return false
  }
  changed() {}
  moved() {}
  begin() {}
  close() {}

  /** The address says which key is open. */
  follow({ key }) {
    if (key !== null) this.load().catch(() => {})
  }

  /** Gives its place to what can open keys. */
  load() {
    this.#loading ??= import("./opened.js").then(
      ({ Opened }) => {
        this.#desk.opened = new Opened(this.#desk)
        this.#desk.opened.follow(this.#desk.route)
        this.#desk.redraw()
      },
      (error) => {
        this.#loading = null
        throw error
      },
    )
    return this.#loading
  }

  async #call(name, what) {
    try {
      await this.load()
    } catch (error) {
      this.#desk.page.failedToLoad(error)
      return this.#desk.page.toast("The editor could not be loaded. Try again when the connection is back.")
    }
    return this.#desk.opened[name](...what)
  }
}
