// The open key with its draft, the drafts of keys that were left with unsaved text, and the new key form. No DOM.
// Longer than 320 lines: the open key changes with its draft, the replica and the address.

import { problemWithKey } from "../../../client/keys.js"
import { Draft } from "./draft.js"
import { Drafts } from "./drafts.js"
import { remove, restore } from "./key-actions.js"
import { NewKey } from "./new-key.js"

/**
 * @import { KeyChange } from "../../../client/key-change.js"
 * @import { DashboardModel } from "../../dashboard-model.js"
 * @import { Entry } from "../../../client/replica.js"
 * @import { Refusal } from "../../../client/outbox.js"
 */
/**
 * @typedef {{
 *   key: string, draft: Draft, answer: any, created?: string, editing: boolean, caret?: number | null,
 *   formatted?: boolean, asJson?: boolean, refusal?: Refusal | null, retryAt?: number, readOnly?: boolean,
 *   waiting?: boolean, again?: boolean
 * }} Opened
 */

/** @typedef {OpenKey & { open: Opened }} Showing While a key is open. */

export class OpenKey {
  /**
   * The open key.
   * - `answer`: the server's response to `get`: {asking}, {known}, {missing, deleted_at} or {refusal}.
   * - `created`: when the entry was created, according to that response.
   * - `editing`: whether the value is in the editor; `caret`: the initial position in it.
   * - `formatted`: whether a long value is shown formatted.
   * - `refusal`: the error of a save; `retryAt`: when it may be retried, in milliseconds; `readOnly`: whether the error
   *   means that a retry is pointless.
   * @type {Opened | null}
   */
  open = null
  /**
   * The NewKey of the new key form.
   * @type {NewKey | null}
   */
  fresh = null

  #model
  #kv
  #drafts
  /** @type {NewKey[]} */
  #aside = [] // new key forms that were left with text in them

  /** @param {DashboardModel} model */
  constructor(model) {
    this.#model = model
    this.#kv = model.kv
    this.#drafts = new Drafts(model, this)
  }

  get #page() {
    return this.#model.page
  }

  /** The open key, for methods that are called only while there is one. */
  get #current() {
    return /** @type {Opened} */ (this.open)
  }

  /** Unsaved text, for a page that is about to close: [{key, text}]. */
  get unsaved() {
    return [...this.#drafts.edited, ...this.#begun.map(({ key, draft }) => ({ key, text: draft.text }))]
  }

  /** The same as plain data, to be stored beyond this page: see `resume`. */
  get records() {
    return [...this.#drafts.records, ...this.#begun.map(({ key, kind, draft }) => ({ ...draft.record, key, kind }))]
  }

  /** Restore the unsaved text of an earlier page of this tab. */
  resume(records) {
    this.#drafts.resume(records.filter(({ kind }) => !kind))
    for (const record of records.filter(({ kind }) => kind)) this.#aside.push(NewKey.from(record))
    const keys = records.map(({ key }) => key)
    const what =
      keys.length === 1
        ? `The unsaved text of ${keys[0] || "a new key"} is here again.`
        : `${keys.length} unsaved texts are here again.`
    this.#page.toast(
      what,
      keys.length === 1 && !records[0].kind ? { label: "Open", run: () => this.openKey(keys[0]) } : null,
    )
  }

  /** Whether there is typed text that is neither saved nor being saved. */
  get typed() {
    return this.#drafts.unsaved || this.#begun.length > 0
  }

  /**
   * Unsaved texts without a row in the list: [{key, open()}], of keys that do not exist and of new keys that were left.
   */
  get strays() {
    const drafts = this.#drafts.edited.filter(({ key }) => key !== this.open?.key && !this.#model.browse.rows.has(key))
    const begun = this.fresh ? [] : this.#aside.slice(-1)
    return [
      ...drafts.map(({ key }) => ({ key, open: () => this.openKey(key) })),
      ...begun.map(({ key }) => ({ key, open: () => this.startNew() })),
    ]
  }

  /** @param {string} key */
  hasDraft(key) {
    return this.#drafts.of(key)?.unsaved ?? false
  }

  /** The keys that this tab is editing. */
  get edited() {
    const { keys } = this.#drafts
    return this.open?.editing && !keys.includes(this.open.key) ? [...keys, this.open.key] : keys
  }

  get #begun() {
    return [...this.#aside, ...(this.fresh ? [this.fresh] : [])].filter(({ draft }) => draft.text !== "")
  }

  // --- opening ---

  /**
   * Open a key: show the tab's own entry at once, and the server's response when it arrives.
   * @param {string} key
   */
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

  /**
   * Show the new key form: the one that was left, or one that starts with the current folder, or one for this `key`.
   */
  startNew(/** @type {string | null} */ key = null) {
    this.#page.go({ page: "keys", key: null, tab: "value", from: null, to: null })
    const fresh = this.fresh ?? ((key === null && this.#aside.pop()) || new NewKey(this.#model.route.prefix))
    if (key !== null) fresh.rename(key)
    this.fresh = fresh
    this.#page.focus("new")
    this.#page.redraw()
  }

  /** Cancel the new key. */
  cancel() {
    this.fresh = null
    this.close()
  }

  #putAside() {
    if (this.fresh?.draft.text) this.#aside.push(this.fresh)
    this.fresh = null
  }

  /** Open the key that the address names. */
  follow({ key }) {
    if (key === null) {
      this.open = null
      return
    }
    if (this.open?.key === key) return
    this.#putAside()
    const problem = problemWithKey(key)
    const draft = this.#drafts.of(key) ?? new Draft(key, this.#kv.entry(key))
    const answer = problem ? { refusal: { message: problem } } : { asking: true }
    this.open = { key, draft, answer, editing: draft.edited }
    if (!problem) this.#ask(this.open)
  }

  /** Called when the tab holds the whole space for the first time. */
  begin() {
    if (this.open?.answer.asking) this.#ask(this.open)
  }

  // --- editing ---

  /** Switch from reading to editing, with the caret at this position. */
  edit({ caret = /** @type {number | null} */ (null) } = {}) {
    if (!this.open || this.open.answer.refusal || this.open.readOnly) return
    this.#page.go({ tab: "value", from: null, to: null }, { replace: true })
    this.open.editing = true
    this.open.caret = caret
    this.#page.focus("editor")
    this.#page.redraw()
  }

  /** Switch back to reading; the draft is kept. */
  read() {
    this.#current.editing = false
    this.#page.focus("detail")
    this.#page.redraw()
  }

  /** @param {string} text */
  type(text) {
    this.#change((draft) => draft.type(text))
  }

  setMode(mode) {
    this.#change((draft) => draft.setMode(mode))
  }

  setExpires(expires) {
    this.#change((draft) => (draft.expires = expires))
  }

  /** Format the text in the editor, or show a long value formatted. */
  format() {
    if (!this.open) return
    if (this.open.editing || !this.open.draft.base) return this.#change((draft) => draft.format())
    this.open.formatted = true
    this.#page.redraw()
  }

  discard() {
    this.#change((draft) => draft.discard())
    if (!this.#current.draft.edited) this.read()
  }

  // The resolutions of the `conflict` that is shown. A newer conflict is shown to the user first.

  keepMine(conflict) {
    if (!this.#isAbout(conflict)) return undefined
    this.#current.draft.keepMine()
    this.#page.focus("editor")
    return this.save()
  }

  takeTheirs(conflict) {
    if (this.#isAbout(conflict)) this.discard()
  }

  /** Put `value`, which holds both changes, into the editor; the user reviews it before saving. */
  takeMerged(value, conflict) {
    if (!this.#isAbout(conflict)) return
    this.#change((draft) => draft.takeMerged(value))
    this.#page.say("Both changes are in the text now. Save it, if it is right.")
    this.#page.focus("editor")
  }

  /** Save the draft; on a conflict both versions are kept, and the user chooses. */
  async save() {
    if (this.fresh) return this.#create(this.fresh)
    if (!this.open) return
    const { draft } = this.open
    if (draft.base && !draft.edited) return
    if (draft.mustChoose) return this.#askToChoose()
    if (draft.reading.problem) return this.#page.focus("editor")
    if (draft.expires?.problem) return this.#page.focus("expires-value")
    if (draft.saving !== null)
      return this.#page.toast("The last save is still on its way. Save again when it has arrived.")
    return this.#drafts.save(this.open)
  }

  #askToChoose() {
    this.#page.alert("Not saved. Choose a version first: keep yours, take theirs, or merge both.")
    this.#page.focus("conflict")
    this.#page.redraw()
  }

  /** Save the text as a text value, for text that is not JSON. */
  saveAsText() {
    const { text } = this.#current.draft
    this.#change((draft) => draft.setMode("text"))
    if (this.#current.draft.mode === "json") this.type(JSON.stringify(text))
    this.#page.focus("editor")
    return this.save()
  }

  /**
   * Delete a key if it still holds the `entry` that is shown; the user can undo it.
   * @param {string} key
   * @param {Entry} [entry]
   */
  async remove(key, entry) {
    if (!(await remove(this.#model, key, entry))) return
    this.#drafts.drop(key)
    if (this.open?.key === key) this.close()
  }

  /**
   * Restore the value of a deleted key.
   * @param {string} key
   */
  restore(key) {
    return restore(this.#model, key)
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
    const { draft } = this.#current
    fn(draft)
    this.#current.refusal = null
    this.#drafts.keep(draft)
    this.#page.redraw()
  }

  /** @param {NewKey} fresh */
  async #create(fresh) {
    const { key, draft } = fresh
    const missing = fresh.check(this.#drafts.of(key))
    this.#page.redraw()
    if (missing) return this.#page.focus({ key: "new", value: "new value", expires: "expires-value" }[missing])
    // From here on it is an ordinary draft of a key that does not exist: a save sends `if_revision: 0`.
    this.fresh = null
    draft.key = key
    this.open = { key, draft, answer: { known: true }, editing: true }
    this.#page.go({ key, tab: "value" })
    this.#page.focus("editor")
    return this.save()
  }

  // --- events of the client ---

  /** @param {KeyChange[]} facts */
  changed(facts) {
    for (const fact of facts) {
      this.#drafts.changed(fact)
      if (this.open?.key === fact.key) this.#follow(fact)
    }
  }

  /** @param {Opened} open */
  async #ask(open) {
    if (open.waiting) {
      open.again = true
      return
    }
    open.waiting = true
    open.again = false
    try {
      const entry = await this.#kv.fetch(open.key)
      // A push may have overtaken the response, and the tab never goes back to an older revision.
      const held = this.#kv.entry(open.key)
      if (held?.revision === entry.revision || entry.revision > this.#kv.position.revision) {
        this.#drafts.learn(open.draft, entry)
        open.created = entry.created_at
        open.answer = { known: true }
      }
    } catch (refusal) {
      if (refusal.code === "not_found") open.answer = { missing: true, deleted_at: refusal.deleted_at }
      else if (refusal.code === "rate_limited")
        setTimeout(() => open === this.open && this.#ask(open), refusal.retry_after * 1_000)
      else if (refusal.code !== "unavailable" && !open.draft.base) open.answer = { refusal }
    }
    open.waiting = false
    if (open.again && open === this.open) this.#ask(open)
    this.#page.redraw()
  }

  #follow({ entry }) {
    const open = this.#current
    open.answer = entry ? { known: true } : { missing: true }
    open.refusal = null
    // A push does not contain the creation time.
    if (!entry) open.created = undefined
    this.#ask(open)
  }
}
