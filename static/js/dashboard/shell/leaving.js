// Leaving: closing the tab, signing out, having been signed out. Nothing that was typed is lost without a word, and nothing of a user
// who has gone stays in this browser.

import { keepDrafts } from "./kept-drafts.js"
import { askBeforeSigningOut, showSignedOut } from "./dialogs.js"
import { forgetHere } from "./offline.js"

// how a session ends when somebody wants nothing of it left in this browser, or somebody else goes on in this tab
const NOT_KEPT = ["signed_out", "deleted", "another_user"]

export class Leaving {
  #desk
  #form
  #asked = false // and may go
  #keptDrafts = false // beyond this page

  /** `form` is the one that signs out. */
  constructor(desk, form) {
    this.#desk = desk
    this.#form = form
    form.addEventListener("submit", this.#signingOut)
    addEventListener("beforeunload", this.#closing)
  }

  /** We have been signed out, with these writes waiting, and `records` of what was being written. */
  async signedOut(pending, records) {
    const { kv, page } = this.#desk
    const { reason } = kv
    const texts = this.#unsaved(pending)
    const queued = pending.length > 0 && kv.keepsAfterSignOut
    const kept = !NOT_KEPT.includes(reason) && keepDrafts(page.username, records)
    const drafts = queued ? records.length : texts.length
    showSignedOut(page.dialogs, reason, texts, { queued, drafts, kept: kept && (queued || pending.length === 0), username: page.username })
    await forgetHere(kv)
  }

  /** Texts that are being edited are kept beyond this page: they are no reason to ask. */
  letGo() {
    this.#keptDrafts = true
  }

  #closing = (event) => {
    const { kv, opened } = this.#desk
    const waiting = kv.pending.length > 0 && !kv.keepsPending
    if ((waiting || (opened.typed && !this.#keptDrafts)) && kv.state !== "signed out" && !this.#asked) event.preventDefault()
  }

  #signingOut = (event) => {
    if (this.#asked) return
    event.preventDefault()
    const { kv, page } = this.#desk
    const losing = this.#unsaved(kv.pending)
    if (losing.length === 0 || kv.state === "signed out") this.#signOut()
    else askBeforeSigningOut(page.dialogs, losing, () => this.#signOut())
  }

  /** Before the server forgets us, this browser does. (Over HTTPS the server has it forget everything, by a header.) */
  async #signOut() {
    this.#asked = true
    await forgetHere(this.#desk.kv).catch(() => {})
    this.#form.requestSubmit()
  }

  /** What would be lost with this tab: texts being edited, and writes that wait to be sent or acknowledged. */
  #unsaved(pending) {
    const edited = this.#desk.opened.unsaved
    return [...edited, ...waiting(pending).filter(({ key }) => !edited.some((other) => other.key === key))]
  }
}

/** What is lost with writes that wait: [{key, text}]. */
export function waiting(pending) {
  const ops = pending.flatMap(({ verb, payload }) => (verb === "batch" ? payload.ops : [{ ...payload, op: verb }]))
  return ops.map(({ op, key, value, from, to, prefix, revision }) => {
    if (op === "set") return { key, text: JSON.stringify(value) }
    const deed = { move: `moved to ${to}`, copy: `copied to ${to}`, restore: "restored", undo: "undone" }[op] ?? "deleted"
    return { key: key ?? prefix ?? from ?? `Revision ${revision}`, text: `(to be ${deed})` }
  })
}
