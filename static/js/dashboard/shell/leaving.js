// Leaving: closing the tab, signing out, having been signed out. Nothing that was typed is lost without a word, and nothing of a user
// who has gone stays in this browser.

import { askBeforeSigningOut, showSignedOut } from "./dialogs.js"
import { forgetHere } from "./offline.js"

export class Leaving {
  #desk
  #form
  #asked = false // and may go

  /** `form` is the one that signs out. */
  constructor(desk, form) {
    this.#desk = desk
    this.#form = form
    form.addEventListener("submit", this.#signingOut)
    addEventListener("beforeunload", this.#closing)
  }

  /** We have been signed out, with these writes waiting. */
  async signedOut(pending) {
    const { kv, page } = this.#desk
    showSignedOut(page.dialogs, kv.reason, this.#unsaved(pending), pending.length > 0 && kv.keepsAfterSignOut)
    await forgetHere(kv)
  }

  #closing = (event) => {
    const { kv, opened } = this.#desk
    const waiting = kv.pending.length > 0 && !kv.keepsPending
    if ((waiting || opened.typed) && kv.state !== "signed out" && !this.#asked) event.preventDefault()
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
