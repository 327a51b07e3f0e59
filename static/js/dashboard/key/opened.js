// The open key, its draft, and the drafts of keys that were left with unsaved text; a new key, too. No DOM.

import { html } from "../../vendor/lit-html/lit-html.js"
import { problemWithKey } from "../../keys.js"
import { keyText } from "../shared/pieces.js"
import { conflictText } from "./conflict.js"
import { remove, restore } from "./deeds.js"
import { Draft } from "./draft.js"
import { NewKey } from "./new-key.js"

export class Opened {
  /**
   * The open key: {key, draft, answer, created, editing, caret, formatted, refusal, retryAt, readOnly}. `answer` is the server's to
   * `get`: {asking}, {known}, {missing, deleted_at} or {refusal}; `created` is when it says that the entry was created; `editing`
   * whether the value is in the editor, `caret` where one begins; `formatted` whether a long value is to be read formatted; `refusal`
   * that of a save, `retryAt` when it may be tried again, in milliseconds; `readOnly` whether it says that there is no use.
   */
  open = null
  /** The NewKey of the form for one. */
  fresh = null

  #desk
  #kv
  #drafts = new Map() // key → Draft, while there is something in it that is not saved

  constructor(desk) {
    this.#desk = desk
    this.#kv = desk.kv
  }

  get #page() {
    return this.#desk.page
  }

  /** Unsaved text, for a page that is about to go: [{key, text}]. */
  get unsaved() {
    const unsaved = [...this.#drafts.values()].filter((draft) => draft.edited).map(({ key, text }) => ({ key, text }))
    if (this.fresh?.draft.text) unsaved.push({ key: this.fresh.key, text: this.fresh.draft.text })
    return unsaved
  }

  hasDraft(key) {
    return this.#drafts.get(key)?.unsaved ?? false
  }

  /** The keys that this tab is editing. */
  get edited() {
    const keys = [...this.#drafts.keys()]
    return this.open?.editing && !this.#drafts.has(this.open.key) ? [...keys, this.open.key] : keys
  }

  // --- opening ---

  /** Opens a key; the tab's own entry shows at once, the server's answer when it comes. */
  openKey(key, { focus = true } = {}) {
    this.#page.go({ page: "keys", key, tab: "value", from: null, to: null })
    if (focus) this.#page.focus("detail")
  }

  close() {
    const key = this.open?.key
    this.fresh = null
    this.#page.go({ key: null, tab: "value", from: null, to: null })
    this.#page.focus("list", key)
  }

  /** The form for a new key; its name begins with the folder that one is in. */
  startNew(key = this.#desk.route.prefix) {
    this.#page.go({ page: "keys", key: null, tab: "value", from: null, to: null })
    this.fresh ??= new NewKey(key)
    if (key) this.fresh.rename(key)
    this.#page.focus("new")
    this.#page.redraw()
  }

  /** The address says which key is open. */
  follow({ key }) {
    if (key === null) return (this.open = null)
    if (this.open?.key === key) return
    this.fresh = null
    const problem = problemWithKey(key)
    const draft = this.#drafts.get(key) ?? new Draft(key, this.#kv.entry(key))
    this.open = { key, draft, answer: problem ? { refusal: { message: problem } } : { asking: true }, editing: draft.edited }
    if (!problem) this.#ask(this.open)
  }

  /** The tab holds everything for the first time. */
  begin() {
    if (this.open?.answer.asking) this.#ask(this.open)
  }

  // --- editing ---

  /** From reading to editing, at this place in the text. */
  edit({ caret = null } = {}) {
    if (!this.open || this.open.answer.refusal || this.open.readOnly) return
    this.#page.go({ tab: "value", from: null, to: null }, { replace: true })
    this.open.editing = true
    this.open.caret = caret
    this.#page.focus("editor")
    this.#page.redraw()
  }

  /** Back to reading; a draft stays one. */
  read() {
    this.open.editing = false
    this.#page.focus("detail")
    this.#page.redraw()
  }

  type(text) {
    this.#change((draft) => draft.type(text))
  }

  setMode(mode) {
    this.#change((draft) => draft.setMode(mode))
  }

  setExpires(expires) {
    this.#change((draft) => (draft.expires = expires))
  }

  /** Formats what is being edited, or shows a long value formatted. */
  format() {
    if (!this.open) return
    if (this.open.editing || !this.open.draft.base) return this.#change((draft) => draft.format())
    this.open.formatted = true
    this.#page.redraw()
  }

  discard() {
    this.#change((draft) => draft.discard())
    this.read()
  }

  keepMine() {
    this.open.draft.keepMine()
    this.#page.focus("editor")
    return this.save()
  }

  takeTheirs() {
    this.#change((draft) => draft.takeTheirs())
    this.read()
  }

  /** `value` holds what both changed; it is looked at before it is saved. */
  takeMerged(value) {
    this.#change((draft) => draft.takeMerged(value))
    this.#page.say("Both changes are in the text now. Save it, if it is right.")
    this.#page.focus("editor")
  }

  /** Saves what is typed; on a conflict both stay, and the reader chooses. */
  async save() {
    if (this.fresh) return this.#create()
    if (!this.open) return
    const { draft } = this.open
    if (draft.base && !draft.edited) return
    if (draft.reading.problem) return this.#page.focus("editor")
    if (draft.expires?.problem) return this.#page.focus("expires-value")
    if (draft.saving !== null) return this.#page.toast("The last save is still on its way. Save again when it has arrived.")
    return this.#write(this.open)
  }

  /** Saves what is typed as a text value, for what is not JSON. */
  saveAsText() {
    const { text } = this.open.draft
    this.#change((draft) => draft.setMode("text"))
    if (this.open.draft.mode === "json") this.type(JSON.stringify(text))
    this.#page.focus("editor")
    return this.save()
  }

  /** Deletes a key, with a way back. */
  async remove(key) {
    if (!(await remove(this.#desk, key))) return
    this.#drafts.delete(key)
    if (this.open?.key === key) this.close()
  }

  /** Brings the value of a deleted key back. */
  restore(key) {
    return restore(this.#desk, key)
  }

  #change(fn) {
    const { draft, key } = this.open
    fn(draft)
    this.open.refusal = null
    if (draft.edited) this.#drafts.set(key, draft)
    else if (draft.saving === null) this.#drafts.delete(key)
    this.#page.redraw()
  }

  async #create() {
    const { key, draft } = this.fresh
    const missing = this.fresh.check()
    this.#page.redraw()
    if (missing) return this.#page.focus({ key: "new", value: "new value", expires: "expires-value" }[missing])
    // From here on it is a draft like any other, of a key that is not there: a save of it says `if_revision: 0`.
    this.fresh = null
    draft.key = key
    this.open = { key, draft, answer: { known: true }, editing: true }
    this.#page.go({ key, tab: "value" })
    this.#page.focus("editor")
    return this.save()
  }

  async #write(open) {
    const { key, draft } = open
    const { value, ...options } = draft.send(this.#desk.now())
    open.refusal = null
    await this.#settle(open, this.#kv.set(key, value, options))
  }

  /**
   * A write that a tab which is gone has left behind is sent from here: {verb, payload, before}, and the promise of its answer. A save
   * is a draft again until it has arrived; one that is refused stays one.
   */
  async adopt({ verb, payload, before }, settled) {
    if (verb !== "set") return settled.catch((refusal) => this.#page.toast(`Something that was done without a connection was refused: ${refusal.message}`))
    const { key } = payload
    const draft = this.#drafts.get(key) ?? new Draft(key, before)
    draft.resume(payload)
    if (this.open?.key === key) Object.assign(this.open, { draft, editing: true })
    await this.#settle(this.open?.key === key ? this.open : { key, draft }, settled)
    if (draft.conflict && this.open?.key !== key)
      this.#page.toast(html`<b class="mono">${keyText(key)}</b> has changed meanwhile. What you wrote is kept.`, { label: "Open", run: () => this.openKey(key) })
  }

  async #settle(open, answer) {
    const { key, draft } = open
    this.#drafts.set(key, draft)
    this.#page.redraw()
    try {
      const { revision } = await answer
      this.#desk.undo.offer(html`Saved <b class="mono">${keyText(key)}</b>`, [revision], { toast: false })
      this.#learn(draft, this.#kv.entry(key) ?? null)
      this.#page.say(`Saved ${key}`)
    } catch (refusal) {
      draft.saving = null
      if (refusal.code === "conflict") this.#learn(draft, refusal.entry ?? null)
      else this.#refuse(open, refusal)
    }
    draft.saving = null
    if (!draft.edited) this.#drafts.delete(key)
    this.#page.redraw()
  }

  #refuse(open, refusal) {
    open.refusal = refusal
    open.retryAt = Date.now() + (refusal.retry_after ?? 0) * 1_000
    open.readOnly = refusal.code === "forbidden"
    this.#page.alert(refusal.message)
  }

  // --- what the client tells ---

  changed(facts) {
    for (const fact of facts) this.#followDraft(fact)
  }

  async #ask(open) {
    if (open.waiting) return (open.again = true)
    open.waiting = true
    open.again = false
    try {
      const entry = await this.#kv.fetch(open.key)
      // A push may have overtaken the answer, and the tab never goes back.
      const held = this.#kv.entry(open.key)
      if (held?.revision === entry.revision || entry.revision > this.#kv.position.revision) {
        this.#learn(open.draft, entry)
        open.created = entry.created_at
        open.answer = { known: true }
      }
    } catch (refusal) {
      if (refusal.code === "not_found") open.answer = { missing: true, deleted_at: refusal.deleted_at }
      else if (refusal.code === "rate_limited") setTimeout(() => open === this.open && this.#ask(open), refusal.retry_after * 1_000)
      else if (refusal.code !== "unavailable") open.answer = { refusal }
    }
    open.waiting = false
    if (open.again && open === this.open) this.#ask(open)
    this.#page.redraw()
  }

  #learn(draft, entry, origin) {
    const outcome = draft.entryIs(entry, origin)
    if (outcome === "conflict") this.#page.alert(conflictText(draft))
    return outcome
  }

  #followDraft(fact) {
    const { key, entry, origin } = fact
    const draft = this.open?.key === key ? this.open.draft : this.#drafts.get(key)
    if (!draft) return
    this.#learn(draft, entry ?? null, origin)
    if (!draft.edited && draft.saving === null) this.#drafts.delete(key)
    if (this.open?.key !== key) return
    this.open.answer = entry ? { known: true } : { missing: true }
    this.open.refusal = null
    // A push does not say when the entry was created.
    if (!entry) this.open.created = undefined
    this.#ask(this.open)
  }
}
