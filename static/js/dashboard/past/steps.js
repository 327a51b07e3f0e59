// What was done and what was undone, newest last: two stacks, as every editor has them. No DOM.

const MOST = 50

/** Steps are {what, revisions}: what people call it, and the writes that it made, in their order. */
export class Steps {
  #done = []
  #undone = []

  get last() {
    return this.#done.at(-1) ?? null
  }
  get lastUndone() {
    return this.#undone.at(-1) ?? null
  }

  /** Whether `step` can be undone, or done again: not twice, however often it is offered. */
  isDone(step) {
    return this.#done.includes(step)
  }
  isUndone(step) {
    return this.#undone.includes(step)
  }

  /** Something new was done: what was undone before cannot be done again on top of it. */
  did(step) {
    this.#undone = []
    this.#push(this.#done, step)
  }

  /** `step` was undone, and that made `back`; without it, it can be neither undone nor done again. */
  undid(step, back = null) {
    this.#done = without(this.#done, step)
    if (back) this.#push(this.#undone, back)
  }

  /** What was undone as `step` was done again, and that made `again`. */
  redid(step, again = null) {
    this.#undone = without(this.#undone, step)
    if (again) this.#push(this.#done, again)
  }

  #push(stack, step) {
    stack.push(step)
    if (stack.length > MOST) stack.shift()
  }
}

/** A step is known by its writes: the same ones can be undone from several places. */
function without(stack, { revisions }) {
  return stack.filter((step) => !step.revisions.some((revision) => revisions.includes(revision)))
}
