// Long press: a touch that stays on a row selects it.

const LONG = 500 // milliseconds
const FAR = 10 // pixels

export class LongPress {
  #done
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  /** @type {PointerEvent | null} */
  #start = null
  #pressed = false // the press was handled, and its click is ignored

  /** `done(row)` is called with the element of the row. */
  constructor(done) {
    this.#done = done
  }

  listen(grid) {
    grid.addEventListener("pointerdown", this.#began)
    grid.addEventListener("pointermove", this.#moved)
    for (const end of ["pointerup", "pointercancel"]) grid.addEventListener(end, this.#ended)
    // suppress the browser's own context menu for a long press
    grid.addEventListener("contextmenu", (event) => (this.#start || this.#pressed) && event.preventDefault())
  }

  /** Whether to ignore a click, because its press was handled. */
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
    if (this.#start && Math.hypot(event.clientX - this.#start.clientX, event.clientY - this.#start.clientY) > FAR)
      this.#ended()
  }

  #ended = () => {
    clearTimeout(this.#timer)
    this.#start = null
  }
}
