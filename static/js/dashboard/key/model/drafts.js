// The drafts of this tab on their way to the server: saves, writes left behind by closed tabs, and changes by others to
// the same keys. A draft ends when the server has it. No DOM.

import { html } from "../../../vendor/lit-html/lit-html.js"
import { keyText } from "../../shared/view-helpers.js"
import { conflictText } from "./conflict-text.js"
import { Draft } from "./draft.js"
import { DraftStore } from "./draft-store.js"

/**
 * @import { Entry, Origin } from "../../../client/replica.js"
 * @import { DashboardModel } from "../../dashboard-model.js"
 * @import { OpenKey, Opened } from "./open-key.js"
 */

export class Drafts {
  #model
  #store = new DraftStore()
  #opened

  /**
   * `opened` has the `open` key, whose draft is on the screen.
   * @param {DashboardModel} model
   * @param {OpenKey} opened
   */
  constructor(model, opened) {
    this.#model = model
    this.#opened = opened
  }

  get keys() {
    return this.#store.keys
  }
  get edited() {
    return this.#store.edited
  }
  get unsaved() {
    return this.#store.unsaved
  }
  get records() {
    return this.#store.drafts.map(({ record }) => record)
  }

  /** Continue the drafts of an earlier page of this tab. */
  resume(records) {
    for (const record of records) this.#show(this.#store.keep(Draft.from(record)) ?? this.of(record.key))
  }

  /** @param {string} key */
  of(key) {
    return this.#store.of(key)
  }

  /**
   * Keep a changed draft as long as it contains edits.
   * @param {Draft} draft
   */
  keep(draft) {
    this.#show(this.#store.keep(draft))
  }

  /** @param {string} key */
  drop(key) {
    this.#show(this.#store.drop(key))
  }

  /**
   * Save the draft of the `open` key; an error is stored with it.
   * @param {Opened} open
   */
  async save(open) {
    const { key, draft } = open
    const { value, ...options } = draft.send(this.#model.now())
    open.refusal = null
    await this.#settle(open, this.#model.kv.set(key, value, options))
  }

  /** Take over a write that a closed tab has left behind. A save is a draft again until the server has it. */
  async adopt({ verb, payload, before }, settled) {
    const { page } = this.#model
    if (verb !== "set")
      return settled.catch((refusal) =>
        page.toast(`Something that was done without a connection was refused: ${refusal.message}`),
      )
    const { key } = payload
    const draft = new Draft(key, before)
    draft.resume(payload)
    const alone = !this.of(key)
    await (alone ? this.#settle(this.#openOf(draft), settled) : this.#settleBehind(draft, settled))
    if (draft.conflict && (!alone || this.#open?.key !== key))
      page.toast(html`<b class="mono">${keyText(key)}</b> has changed meanwhile. What you wrote is kept.`, {
        label: "Open",
        run: () => this.#opened.openKey(key),
      })
    return undefined
  }

  /** Move the draft of a key that this tab has renamed. */
  moved(from, to) {
    const { kv } = this.#model
    const draft = this.of(from)
    const entry = kv.entry(to)
    if (!draft || draft.saving !== null || this.of(to) || kv.entry(from) || !entry) return
    this.drop(from)
    draft.moveTo(to, entry)
    this.keep(draft)
  }

  /**
   * Update a draft to its current entry.
   * @param {Draft} draft
   * @param {Entry | null} entry
   * @param {Origin} [origin]
   */
  learn(draft, entry, origin) {
    if (draft.entryIs(entry, origin) === "conflict") this.#model.page.alert(conflictText(draft))
  }

  /** Handle a change of a key, reported by the client. */
  changed({ key, entry, origin, mine }) {
    const draft = this.#open?.key === key ? this.#open.draft : this.of(key)
    if (!draft) return
    // the user who deletes or renames the key here needs no alert
    if (mine && !entry) draft.entryIs(null, origin)
    else this.learn(draft, entry ?? null, origin)
    this.keep(draft)
  }

  get #open() {
    return this.#opened.open
  }

  /**
   * Return the open key with this draft in it, or a stand-in if another key is open.
   * @param {Draft} draft
   */
  #openOf(draft) {
    if (this.#open?.key !== draft.key) return { draft, key: draft.key }
    return Object.assign(this.#open, { draft, editing: true })
  }

  /**
   * Show a draft that waited behind another one of its key.
   * @param {Draft | null | undefined} draft
   */
  #show(draft) {
    if (!draft) return
    this.#openOf(draft)
    this.learn(draft, this.#model.kv.entry(draft.key) ?? null)
  }

  /** @param {Opened} open */
  async #settle(open, answer) {
    const { kv, page, undo } = this.#model
    const { key, draft } = open
    this.keep(draft)
    page.redraw()
    try {
      const { revision } = await answer
      undo.offer(html`Saved <b class="mono">${keyText(key)}</b>`, [revision], { toast: false })
      this.learn(draft, kv.entry(key) ?? null)
      page.say(`Saved ${key}`)
    } catch (refusal) {
      draft.saving = null
      const conflict = refusal.code === "conflict"
      if (conflict) this.learn(draft, refusal.entry ?? null)
      // a conflict needs no error if the banner shows it, or if the draft has no edits left
      if (!conflict || (draft.edited && !draft.conflict))
        this.#refuse(this.#open?.draft === draft ? this.#open : open, refusal)
    }
    draft.saving = null
    this.keep(draft)
    page.redraw()
  }

  /**
   * Wait for a save of a key that has another draft; if rejected, it waits behind that draft.
   * @param {Draft} draft
   */
  async #settleBehind(draft, answer) {
    try {
      await answer
    } catch (refusal) {
      draft.saving = null
      draft.entryIs(refusal.entry ?? this.#model.kv.entry(draft.key) ?? null)
      this.keep(draft)
      if (this.of(draft.key) === draft) this.#openOf(draft)
      this.#model.redraw()
    }
  }

  /** @param {Opened} open */
  #refuse(open, refusal) {
    open.refusal = refusal
    open.retryAt = Date.now() + (refusal.retry_after ?? 0) * 1_000
    open.readOnly = refusal.code === "forbidden"
    this.#model.page.alert(refusal.message)
  }
}
