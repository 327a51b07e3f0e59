// What this tab has done and can undo: the writes, newest last. An undo is refused where somebody wrote since. No DOM.

const MOST = 50

export class Undo {
  #desk
  #done = [] // {what, back}

  constructor(desk) {
    this.#desk = desk
  }

  /** Whether there is anything to undo. */
  get possible() {
    return this.#done.length > 0
  }

  /** Something was done that `back()` undoes; `what` says it: a text or template. It is offered for a while, and kept. */
  offer(what, back) {
    const doing = { what, back }
    this.#done.push(doing)
    if (this.#done.length > MOST) this.#done.shift()
    this.#desk.page.toast(what, { label: "Undo", run: () => this.#take(doing) })
  }

  /** Undoes the last thing. */
  last() {
    if (this.possible) this.#take(this.#done.at(-1))
  }

  #take(doing) {
    const at = this.#done.indexOf(doing)
    if (at < 0) return
    this.#done.splice(at, 1)
    doing.back()
  }
}
