// Closing the tab, signing out, and the end of the session. No typed text is lost without a warning, and no data of a
// user who has signed out stays in this browser.

import { askBeforeSigningOut, showSignedOut } from "./dialogs.js"
import { keepDrafts } from "./kept-drafts.js"
import { forgetHere } from "./offline.js"
import { replaceWorker } from "./replace-worker.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

// reasons after which nothing of the session is kept: the user wants no data left in this browser, or another user
// continues in this tab
const NOT_KEPT = ["signed_out", "deleted", "another_user"]

export class UnloadGuard {
  #model
  #form
  #asked = false // the user has confirmed that the page may close
  #keptDrafts = false // drafts are stored beyond this page

  /**
   * `form` is the sign-out form.
   * @param {DashboardModel} model
   */
  constructor(model, form) {
    this.#model = model
    this.#form = form
    form.addEventListener("submit", this.#signingOut)
    addEventListener("beforeunload", this.#closing)
  }

  /** Handle the end of the session, with these waiting writes and the `records` of the drafts. */
  async signedOut(pending, records) {
    const { kv, page } = this.#model
    const { reason } = kv
    const texts = this.#unsaved(pending)
    const queued = pending.length > 0 && kv.keepsAfterSignOut
    const kept = !NOT_KEPT.includes(reason) && keepDrafts(page.username, records)
    const drafts = queued ? records.length : texts.length
    showSignedOut(page.dialogs, reason, texts, {
      queued,
      drafts,
      kept: kept && (queued || pending.length === 0),
      username: page.username,
    })
    await forgetHere(kv)
  }

  /** Prepare a reload. With `kept`, do not ask because of drafts: they are stored beyond this page. */
  async letGo(kept) {
    this.#keptDrafts = kept
    await replaceWorker().catch(() => {})
  }

  #closing = (event) => {
    const { kv, opened } = this.#model
    const waiting = kv.pending.length > 0 && !kv.keepsPending
    if ((waiting || (opened.typed && !this.#keptDrafts)) && kv.state !== "signed out" && !this.#asked)
      event.preventDefault()
  }

  #signingOut = (event) => {
    if (this.#asked) return
    event.preventDefault()
    const { kv, page } = this.#model
    const losing = this.#unsaved(kv.pending)
    if (losing.length === 0 || kv.state === "signed out") this.#signOut()
    else askBeforeSigningOut(page.dialogs, losing, () => this.#signOut())
  }

  /**
   * Delete this browser's data before the server ends the session. (Over HTTPS the server has the browser delete
   * everything, by a header.)
   */
  async #signOut() {
    this.#asked = true
    await forgetHere(this.#model.kv).catch(() => {})
    this.#form.requestSubmit()
  }

  /** Return the texts that this tab would lose: drafts, and writes that wait to be sent or acknowledged. */
  #unsaved(pending) {
    const edited = this.#model.opened.unsaved
    return [...edited, ...waiting(pending).filter(({ key }) => !edited.some((other) => other.key === key))]
  }
}

/** Return the content of waiting writes: [{key, text}]. */
export function waiting(pending) {
  const ops = pending.flatMap(({ verb, payload }) => (verb === "batch" ? payload.ops : [{ ...payload, op: verb }]))
  return ops.map(({ op, key, value, from, to, prefix, revision }) => {
    if (op === "set") return { key, text: JSON.stringify(value) }
    const kind =
      { move: `moved to ${to}`, copy: `copied to ${to}`, restore: "restored", undo: "undone" }[op] ?? "deleted"
    return { key: key ?? prefix ?? from ?? `Revision ${revision}`, text: `(to be ${kind})` }
  })
}
