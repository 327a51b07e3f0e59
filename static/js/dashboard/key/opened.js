// The open key, its draft, and the drafts of keys that were left with unsaved text; a new key, too. No DOM.

import { problemWithKey } from "../../keys.js"
import { remove, restore } from "./deeds.js"
import { Draft } from "./draft.js"
import { Drafts } from "./drafts.js"
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
  #drafts
  #aside = [] // forms for a new key that were left with something in them

  constructor(desk) {
    this.#desk = desk
    this.#kv = desk.kv
    this.#drafts = new Drafts(desk, this)
  }

  get #page() {
    return this.#desk.page
  }

  /** Unsaved text, for a page that is about to go: [{key, text}]. */
  get unsaved() {
    return [...this.#drafts.edited, ...this.#begun.map(({ key, draft }) => ({ key, text: draft.text }))]
  }

  /** The same as plain data, to be kept beyond this page: see `resume`. */
  get records() {
    return [...this.#drafts.records, ...this.#begun.map(({ key, kind, draft }) => ({ ...draft.record, key, kind }))]
  }

  /** Unsaved text of an earlier page of this tab. */
  resume(records) {
    this.#drafts.resume(records.filter(({ kind }) => !kind))
    for (const record of records.filter(({ kind }) => kind)) this.#aside.push(NewKey.from(record))
    const keys = records.map(({ key }) => key)
    const what = keys.length === 1 ? `The unsaved text of ${keys[0] || "a new key"} is here again.` : `${keys.length} unsaved texts are here again.`
    this.#page.toast(what, keys.length === 1 && !records[0].kind ? { label: "Open", run: () => this.openKey(keys[0]) } : null)
  }

  /** Whether something was typed that nothing has been done with yet. */
  get typed() {
    return this.#drafts.unsaved || this.#begun.length > 0
  }

  /** Unsaved texts that no row leads to: [{key, open()}], of keys that are not there, and of new keys that were left. */
  get strays() {
    const drafts = this.#drafts.edited.filter(({ key }) => key !== this.open?.key && !this.#desk.browse.rows.has(key))
    const begun = this.fresh ? [] : this.#aside.slice(-1)
    return [...drafts.map(({ key }) => ({ key, open: () => this.openKey(key) })), ...begun.map(({ key }) => ({ key, open: () => this.startNew() }))]
  }

  hasDraft(key) {
    return this.#drafts.of(key)?.unsaved ?? false
  }

  /** The keys that this tab is editing. */
  get edited() {
    const { keys } = this.#drafts
    return this.open?.editing && !keys.includes(this.open.key) ? [...keys, this.open.key] : keys
  }

  get #begun() {
    return [...this.#aside, this.fresh].filter((fresh) => fresh?.draft.text)
  }

  // --- opening ---

  /** Opens a key; the tab's own entry shows at once, the server's answer when it comes. */
  openKey(key, { focus = true } = {}) {
    this.#page.go({ page: "keys", key, tab: "value", from: null, to: null })
    if (focus) this.#page.focus("detail")
  }

  close() {
    const key = this.open?.key
    this.#putAside()
    this.#page.go({ key: null, tab: "value", from: null, to: null })
    this.#page.focus("list", key)
  }

  /** The form for a new key: the one that was left, or one whose name begins with the folder that one is in; or for this `key`. */
  startNew(key = null) {
    this.#page.go({ page: "keys", key: null, tab: "value", from: null, to: null })
    this.fresh ??= (key === null && this.#aside.pop()) || new NewKey(this.#desk.route.prefix)
    if (key !== null) this.fresh.rename(key)
    this.#page.focus("new")
    this.#page.redraw()
  }

  /** No new key after all. */
  cancel() {
    this.fresh = null
    this.close()
  }

  #putAside() {
    if (this.fresh?.draft.text) this.#aside.push(this.fresh)
    this.fresh = null
  }

  /** The address says which key is open. */
  follow({ key }) {
    if (key === null) return (this.open = null)
    if (this.open?.key === key) return
    this.#putAside()
    const problem = problemWithKey(key)
    const draft = this.#drafts.of(key) ?? new Draft(key, this.#kv.entry(key))
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
    if (!this.open.draft.edited) this.read()
  }

  // The ways out of the `conflict` that is shown. Another one may have come up since: then it is for the reader to see first.

  keepMine(conflict) {
    if (!this.#isAbout(conflict)) return undefined
    this.open.draft.keepMine()
    this.#page.focus("editor")
    return this.save()
  }

  takeTheirs(conflict) {
    if (this.#isAbout(conflict)) this.discard()
  }

  /** `value` holds what both changed; it is looked at before it is saved. */
  takeMerged(value, conflict) {
    if (!this.#isAbout(conflict)) return
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
    if (draft.mustChoose) return this.#askToChoose()
    if (draft.reading.problem) return this.#page.focus("editor")
    if (draft.expires?.problem) return this.#page.focus("expires-value")
    if (draft.saving !== null) return this.#page.toast("The last save is still on its way. Save again when it has arrived.")
    return this.#drafts.save(this.open)
  }

  #askToChoose() {
    this.#page.alert("Not saved. Choose a version first: keep yours, take theirs, or merge both.")
    this.#page.focus("conflict")
    this.#page.redraw()
  }

  /** Saves what is typed as a text value, for what is not JSON. */
  saveAsText() {
    const { text } = this.open.draft
    this.#change((draft) => draft.setMode("text"))
    if (this.open.draft.mode === "json") this.type(JSON.stringify(text))
    this.#page.focus("editor")
    return this.save()
  }

  /** Deletes a key, with a way back: the `entry` that is shown. */
  async remove(key, entry) {
    if (!(await remove(this.#desk, key, entry))) return
    this.#drafts.drop(key)
    if (this.open?.key === key) this.close()
  }

  /** Brings the value of a deleted key back. */
  restore(key) {
    return restore(this.#desk, key)
  }

  /** See Drafts. */
  moved(from, to) {
    this.#drafts.moved(from, to)
  }
  adopt(write, settled) {
    return this.#drafts.adopt(write, settled)
  }

  #isAbout(conflict) {
    if (this.open?.draft.conflict === conflict) return true
    this.#page.redraw()
    return false
  }

  #change(fn) {
    const { draft } = this.open
    fn(draft)
    this.open.refusal = null
    this.#drafts.keep(draft)
    this.#page.redraw()
  }

  async #create() {
    const { key, draft } = this.fresh
    const missing = this.fresh.check(this.#drafts.of(key))
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

  // --- what the client tells ---

  changed(facts) {
    for (const fact of facts) {
      this.#drafts.changed(fact)
      if (this.open?.key === fact.key) this.#follow(fact)
    }
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
        this.#drafts.learn(open.draft, entry)
        open.created = entry.created_at
        open.answer = { known: true }
      }
    } catch (refusal) {
      if (refusal.code === "not_found") open.answer = { missing: true, deleted_at: refusal.deleted_at }
      else if (refusal.code === "rate_limited") setTimeout(() => open === this.open && this.#ask(open), refusal.retry_after * 1_000)
      else if (refusal.code !== "unavailable" && !open.draft.base) open.answer = { refusal }
    }
    open.waiting = false
    if (open.again && open === this.open) this.#ask(open)
    this.#page.redraw()
  }

  #follow({ entry }) {
    this.open.answer = entry ? { known: true } : { missing: true }
    this.open.refusal = null
    // A push does not say when the entry was created.
    if (!entry) this.open.created = undefined
    this.#ask(this.open)
  }
}
