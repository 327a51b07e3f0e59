// A finger that stays on a row ticks it.

const LONG = 500 // milliseconds
const FAR = 10 // pixels

export class LongPress {
  #done
  #timer = null
  #start = null
  #pressed = false // this press has done its work, and is no click any more

  /** `done(row)` is called with the element of the row. */
  constructor(done) {
    this.#done = done
  }

  listen(grid) {
    grid.addEventListener("pointerdown", this.#began)
    grid.addEventListener("pointermove", this.#moved)
    for (const end of ["pointerup", "pointercancel"]) grid.addEventListener(end, this.#ended)
    // the browser's own menu for a long press
    grid.addEventListener("contextmenu", (event) => (this.#start || this.#pressed) && event.preventDefault())
  }

  /** Whether a click belongs to a press that has done its work. */
  swallows() {
    const pressed = this.#pressed
    this.#pressed = false
    return pressed
  }

  #began = (event) => {
    this.#ended()
    this.#pressed = false
    const row = event.target.closest("[role=row]")
    if (event.pointerType !== "touch" || !row) return
    this.#start = event
    this.#timer = setTimeout(() => {
      this.#pressed = true
      this.#done(row)
    }, LONG)
  }

  #moved = (event) => {
    if (this.#start && Math.hypot(event.clientX - this.#start.clientX, event.clientY - this.#start.clientY) > FAR) this.#ended()
  }

  #ended = () => {
    clearTimeout(this.#timer)
    this.#start = null
  }
}
