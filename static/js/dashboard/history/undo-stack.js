// The undo and redo stacks, newest last. No DOM.

const MOST = 50

/** @typedef {{ what: unknown, revisions: number[] }} Step A description, and the writes that the step made, in order. */

export class UndoStack {
  /** @type {Step[]} */
  #done = []
  /** @type {Step[]} */
  #undone = []

  get last() {
    return this.#done.at(-1) ?? null
  }
  get lastUndone() {
    return this.#undone.at(-1) ?? null
  }

  /** Whether `step` can still be undone or redone: not twice, however often it is offered. */
  isDone(step) {
    return this.#done.includes(step)
  }
  isUndone(step) {
    return this.#undone.includes(step)
  }

  /** Push a new step. The undone steps are dropped, since they cannot be redone on top of it. */
  did(step) {
    this.#undone = []
    this.#push(this.#done, step)
  }

  /**
   * Record that `step` was undone by the step `back`; without `back`, it can be neither undone nor redone.
   * @param {Step} step
   * @param {Step | null} back
   */
  undid(step, back = null) {
    this.#done = without(this.#done, step)
    if (back) this.#push(this.#undone, back)
  }

  /**
   * Record that the undone `step` was redone by the step `again`.
   * @param {Step} step
   * @param {Step | null} again
   */
  redid(step, again = null) {
    this.#undone = without(this.#undone, step)
    if (again) this.#push(this.#done, again)
  }

  #push(stack, step) {
    stack.push(step)
    if (stack.length > MOST) stack.shift()
  }
}

/** Remove a step, identified by its writes: the same writes can be undone from several places. */
function without(stack, { revisions }) {
  return stack.filter((step) => !step.revisions.some((revision) => revisions.includes(revision)))
}
