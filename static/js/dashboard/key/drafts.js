// What is being written in this tab, on its way to the server: saves, what a tab that is gone has left behind, and what others do to
// those keys meanwhile. A draft ends when the server has it. No DOM.

import { html } from "../../vendor/lit-html/lit-html.js"
import { keyText } from "../shared/pieces.js"
import { conflictText } from "./conflict.js"
import { Draft } from "./draft.js"
import { Shelf } from "./shelf.js"

export class Drafts {
  #desk
  #shelf = new Shelf()
  #opened

  /** `opened` has the `open` key, whose draft is on the screen. */
  constructor(desk, opened) {
    this.#desk = desk
    this.#opened = opened
  }

  get keys() {
    return this.#shelf.keys
  }
  get edited() {
    return this.#shelf.edited
  }
  get unsaved() {
    return this.#shelf.unsaved
  }
  get records() {
    return this.#shelf.drafts.map(({ record }) => record)
  }

  /** Drafts of an earlier page of this tab go on here. */
  resume(records) {
    for (const record of records) this.#show(this.#shelf.keep(Draft.from(record)) ?? this.of(record.key))
  }

  of(key) {
    return this.#shelf.of(key)
  }

  /** A draft has become another one: it is kept as long as there is something in it. */
  keep(draft) {
    this.#show(this.#shelf.keep(draft))
  }

  drop(key) {
    this.#show(this.#shelf.drop(key))
  }

  /** Saves the draft of what is `open`; a refusal stays with it. */
  async save(open) {
    const { key, draft } = open
    const { value, ...options } = draft.send(this.#desk.now())
    open.refusal = null
    await this.#settle(open, this.#desk.kv.set(key, value, options))
  }

  /** A write that a tab which is gone has left behind is sent from here. A save is a draft again until it has arrived. */
  async adopt({ verb, payload, before }, settled) {
    const { page } = this.#desk
    if (verb !== "set") return settled.catch((refusal) => page.toast(`Something that was done without a connection was refused: ${refusal.message}`))
    const { key } = payload
    const draft = new Draft(key, before)
    draft.resume(payload)
    const alone = !this.of(key)
    await (alone ? this.#settle(this.#openOf(draft), settled) : this.#settleBehind(draft, settled))
    if (draft.conflict && (!alone || this.#open?.key !== key))
      page.toast(html`<b class="mono">${keyText(key)}</b> has changed meanwhile. What you wrote is kept.`, { label: "Open", run: () => this.#opened.openKey(key) })
    return undefined
  }

  /** This tab has given a key another name: what is being written in it goes along. */
  moved(from, to) {
    const { kv } = this.#desk
    const draft = this.of(from)
    const entry = kv.entry(to)
    if (!draft || draft.saving !== null || this.of(to) || kv.entry(from) || !entry) return
    this.drop(from)
    draft.moveTo(to, entry)
    this.keep(draft)
  }

  /** The entry of a draft is this one now. */
  learn(draft, entry, origin) {
    if (draft.entryIs(entry, origin) === "conflict") this.#desk.page.alert(conflictText(draft))
  }

  /** What the client tells of a key. */
  changed({ key, entry, origin, mine }) {
    const draft = this.#open?.key === key ? this.#open.draft : this.of(key)
    if (!draft) return
    // whoever deletes or renames it here knows
    if (mine && !entry) draft.entryIs(null, origin)
    else this.learn(draft, entry ?? null, origin)
    this.keep(draft)
  }

  get #open() {
    return this.#opened.open
  }

  /** What is open, with this draft in it; or else what stands for it. */
  #openOf(draft) {
    if (this.#open?.key !== draft.key) return { draft, key: draft.key }
    return Object.assign(this.#open, { draft, editing: true })
  }

  /** It is a draft's turn, that waited. */
  #show(draft) {
    if (!draft) return
    this.#openOf(draft)
    this.learn(draft, this.#desk.kv.entry(draft.key) ?? null)
  }

  async #settle(open, answer) {
    const { kv, page, undo } = this.#desk
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
      // a conflict with what is here already says no more than that
      if (!conflict || (draft.edited && !draft.conflict)) this.#refuse(this.#open?.draft === draft ? this.#open : open, refusal)
    }
    draft.saving = null
    this.keep(draft)
    page.redraw()
  }

  /** Something else is being written of this key: what is refused has its turn after that. */
  async #settleBehind(draft, answer) {
    try {
      await answer
    } catch (refusal) {
      draft.saving = null
      draft.entryIs(refusal.entry ?? this.#desk.kv.entry(draft.key) ?? null)
      this.keep(draft)
      if (this.of(draft.key) === draft) this.#openOf(draft)
      this.#desk.redraw()
    }
  }

  #refuse(open, refusal) {
    open.refusal = refusal
    open.retryAt = Date.now() + (refusal.retry_after ?? 0) * 1_000
    open.readOnly = refusal.code === "forbidden"
    this.#desk.page.alert(refusal.message)
  }
}
