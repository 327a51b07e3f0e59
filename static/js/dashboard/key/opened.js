// The open key, its draft, and the drafts of keys that were left with unsaved text; a new key, too. No DOM.

import { html } from "../../vendor/lit-html/lit-html.js"
import { problemWithKey } from "../../keys.js"
import { readJson } from "../shared/json-text.js"
import { keyText } from "../shared/pieces.js"
import { conflictText } from "./conflict.js"
import { Draft } from "./draft.js"

export class Opened {
  /**
   * The open key: {key, draft, answer, created, refusal}. `answer` is the server's to `get`: {asking}, {known},
   * {missing, deleted_at} or {refusal}; `created` is when it says that the entry was created; `refusal` that of a save.
   */
  open = null
  /** The form for a new key: {key, text, problem}. */
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
    if (this.fresh?.text) unsaved.push({ key: this.fresh.key, text: this.fresh.text })
    return unsaved
  }

  hasDraft(key) {
    return this.#drafts.get(key)?.unsaved ?? false
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

  startNew(key = "") {
    this.#page.go({ page: "keys", key: null, tab: "value", from: null, to: null })
    this.fresh ??= { key, text: "", problem: null }
    if (key) this.fresh.key = key
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
    this.open = { key, draft, answer: problem ? { refusal: { message: problem } } : { asking: true } }
    if (!problem) this.#ask(this.open)
  }

  /** The tab holds everything for the first time. */
  begin() {
    if (this.open?.answer.asking) this.#ask(this.open)
  }

  // --- editing ---

  type(text) {
    const { draft, key } = this.open
    draft.type(text)
    this.open.refusal = null
    if (draft.edited) this.#drafts.set(key, draft)
    else if (draft.saving === null) this.#drafts.delete(key)
    this.#page.redraw()
  }

  format() {
    if (this.open.draft.format()) this.type(this.open.draft.text)
  }

  discard() {
    this.open.draft.discard()
    this.type(this.open.draft.text)
    this.#page.focus("detail")
  }

  keepMine() {
    this.open.draft.keepMine()
    this.#page.focus("editor")
    return this.save()
  }

  takeTheirs() {
    this.open.draft.takeTheirs()
    this.type(this.open.draft.text)
    this.#page.focus("editor")
  }

  /** Saves what is typed; on a conflict both stay, and the reader chooses. */
  async save() {
    if (this.fresh) return this.#create()
    const { draft } = this.open
    const { value, problem } = draft.reading
    if (draft.base && !draft.edited) return
    if (problem) return this.#page.focus("editor")
    if (draft.saving !== null) return this.#page.toast("The last save is still on its way. Save again when it has arrived.")
    return this.#write(this.open, value)
  }

  /** Saves what is typed as a text value, for what is not JSON. */
  saveAsText() {
    this.type(JSON.stringify(this.open.draft.text))
    this.#page.focus("editor")
    return this.save()
  }

  async #create() {
    const { key, text } = this.fresh
    this.fresh.problem = problemWithKey(key)
    this.#page.redraw()
    if (this.fresh.problem) return this.#page.focus("new")
    const { problem } = readJson(text)
    if (problem) return this.#page.focus("new value")
    // From here on it is a draft like any other, of a key that is not there: a save of it says `if_revision: 0`.
    const draft = new Draft(key, null)
    this.fresh = null
    this.open = { key, draft, answer: { known: true } }
    this.#page.go({ key, tab: "value" })
    this.#page.focus("editor")
    this.type(text)
    return this.save()
  }

  async #write(open, value) {
    const { key, draft } = open
    draft.saving = draft.text
    open.refusal = null
    this.#drafts.set(key, draft)
    this.#page.redraw()
    try {
      const { revision } = await this.#kv.set(key, value, { ifRevision: draft.ifRevision })
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
    this.#page.alert(refusal.message)
  }

  /** Deletes what is shown, and nothing newer; with a way back. */
  async remove(key) {
    const entry = this.#kv.entry(key)
    if (!entry) return
    if (this.#desk.browse.unsent.has(key)) return this.#page.toast(`The last change of ${key} is still on its way.`)
    let revision
    try {
      ;({ revision } = await this.#kv.delete(key, { ifRevision: entry.revision }))
    } catch (refusal) {
      const changed = refusal.code === "conflict"
      return this.#page.toast(changed ? `Not deleted: ${key} has just changed in another tab.` : refusal.message)
    }
    this.#drafts.delete(key)
    if (this.open?.key === key) this.close()
    this.#desk.undo.offer(html`Deleted <b class="mono">${keyText(key)}</b>`, [revision])
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
