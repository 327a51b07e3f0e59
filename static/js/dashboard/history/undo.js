// Undo and redo of this tab's actions and of any other write. An undo is a write, rejected if the key was written
// since; a redo is an undo of that write. No DOM.

import { html } from "../../vendor/lit-html/lit-html.js"
import { whoWrote } from "../shared/texts.js"
import { keyText } from "../shared/view-helpers.js"
import { historyPath } from "./links.js"
import { UndoStack } from "./undo-stack.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

const NO_CONNECTION = "There is no connection: nothing was undone. Try again when it is back."
const RESTORED = "The server was restored from a backup: nothing was undone."

export class UndoManager {
  #model
  #made = new UndoStack()
  #dataSet = null // the data set of the steps in #made
  #turn = Promise.resolve() // serializes undo and redo in the order of the requests

  /** @param {DashboardModel} model */
  constructor(model) {
    this.#model = model
  }

  /** Whether there is anything to undo, or to redo. */
  get possible() {
    return this.#steps.last !== null
  }
  get repeatable() {
    return this.#steps.lastUndone !== null
  }

  /**
   * Record that this tab has made the writes of these `revisions`, in this order; `what` describes them: a text or
   * template, such as "Deleted a". They are undone as one action; with `toast` the undo is offered for a while.
   */
  offer(what, revisions, { toast = true } = {}) {
    const step = { what, revisions }
    this.#steps.did(step)
    if (toast) this.#offerUndo(step, what)
  }

  /** Undo the last action. */
  last() {
    return this.#inTurn(() => this.possible && this.#undo(this.#steps.last))
  }

  /** Redo the last undone action. */
  redo() {
    return this.#inTurn(() => this.repeatable && this.#redo(this.#steps.lastUndone))
  }

  /** Undo these writes of any author. */
  take(what, revisions) {
    return this.#inTurn(() => this.#undo({ what, revisions }))
  }

  /** The steps, reset for another data set: in a restored backup the revisions belong to other writes. */
  get #steps() {
    const { dataSet } = this.#model.kv
    if (dataSet !== this.#dataSet) this.#made = new UndoStack()
    this.#dataSet = dataSet
    return this.#made
  }

  async #undo(step) {
    const revisions = await this.#back(step, () => this.#steps.undid(step))
    if (!revisions) return
    const back = { what: step.what, revisions }
    this.#steps.undid(step, back)
    this.#model.page.toast(html`Undone: ${step.what}`, {
      label: "Redo",
      run: () => this.#inTurn(() => this.#steps.isUndone(back) && this.#redo(back)),
    })
  }

  async #redo(step) {
    const revisions = await this.#back(step, () => this.#steps.redid(step))
    if (!revisions) return
    const again = { what: step.what, revisions }
    this.#steps.redid(step, again)
    this.#offerUndo(again, html`Done again: ${step.what}`)
  }

  /** @param {unknown} text */
  #offerUndo(step, text) {
    this.#model.page.toast(text, {
      label: "Undo",
      run: () => this.#inTurn(() => this.#steps.isDone(step) && this.#undo(step)),
    })
  }

  #inTurn(work) {
    // do not queue it for later, when the user is no longer watching
    if (this.#model.kv.state === "offline") return this.#model.page.toast(NO_CONNECTION)
    this.#turn = this.#turn.then(work).catch(reportError)
    return this.#turn
  }

  /**
   * Undo the writes of a step, newest first; return the resulting revisions, or null. `lost()`: an undo is impossible.
   */
  async #back(step, lost) {
    const { revisions } = step
    const { kv, page } = this.#model
    const { dataSet } = kv
    if (!(await this.#settled()) || kv.dataSet !== dataSet) {
      page.toast(kv.dataSet === dataSet ? NO_CONNECTION : RESTORED)
      return null
    }
    const made = []
    try {
      // All or nothing, as far as can be known in advance: of several writes, each is tried with a dry run first.
      if (revisions.length > 1)
        await Promise.all(revisions.map((revision) => kv.undo(revision, { dryRun: true }).catch(ours(revisions))))
      for (const revision of revisions.toReversed()) made.push((await kv.undo(revision)).revision)
      return made
    } catch (refusal) {
      if (refusal.code === "conflict" || refusal.code === "not_found") lost()
      else step.revisions = revisions.slice(0, revisions.length - made.length)
      await this.#tell(refusal, made.length, revisions.length)
      return null
    }
  }

  /** Wait for the responses to earlier writes, since those are to be undone first; false without a connection. */
  async #settled() {
    const { kv } = this.#model
    const answered = () => new Promise((done) => kv.addEventListener("pending", () => setTimeout(done), { once: true }))
    while (kv.pending.length > 0 && kv.state !== "offline") await answered()
    return kv.state !== "offline"
  }

  async #tell(refusal, made, all) {
    const { page } = this.#model
    if (refusal.code !== "conflict" || !refusal.key) return page.toast(refusal.message)
    const rest = made > 0 ? `only ${made} of ${all} parts were undone` : "nothing was undone"
    const since = await this.#whatCameSince(refusal.key)
    page.toast(
      html`<b class="mono">${keyText(refusal.key)}</b> ${since}; ${rest}. <a href=${historyPath(refusal.key)}>Its history</a>`,
    )
  }

  /** @param {string} key */
  async #whatCameSince(key) {
    try {
      const [{ origin }] = (await this.#model.kv.history({ key, limit: 1 })).writes
      return origin.via === "expiry" ? "has expired since" : `was changed by ${whoWrote(origin)} since`
    } catch {
      return "was changed since"
    }
  }
}

/** Ignore conflicts with a later one of these writes: that one is undone first. */
function ours(revisions) {
  return (refusal) => {
    if (refusal.code !== "conflict" || !revisions.includes(refusal.entry?.revision)) throw refusal
  }
}
