// What the dashboard shows and what can be done there: the client, the rows, the open key and its draft. The views draw
// from it and call it; it never touches the document, but for `navigate` and `redraw`, which are given.

import { problemWithKey } from "../keys.js"
import { Draft } from "./draft.js"
import { readJson } from "./json-text.js"
import { LEAVING, Marks } from "./marks.js"
import { Rows } from "./rows.js"

const MANY = 500 // facts at once, above which the rows are made anew

export class Desk {
  rows = new Rows()
  marks = new Marks()
  filter = ""
  synced = false // whether this tab has ever held the whole space
  wasOffline = false
  lastLive = null // when we were last live, in milliseconds
  away = 0 // keys that changed while we were away
  unsent = new Set() // keys that a waiting write touches

  /**
   * The open key: {key, draft, answer, created, refusal}. `answer` is the server's to `get`: {asking}, {known},
   * {missing, deleted_at} or {refusal}; `created` is when it says that the entry was created; `refusal` that of a save.
   */
  open = null
  /** The form for a new key: {key, text, problem}. */
  fresh = null

  #kv
  #drafts = new Map() // key → Draft, while there is something in it that is not saved
  #page
  #leaving = new Set() // keys that are gone and whose rows are just fading

  /** `page`: {redraw, navigate, say, alert, toast, focus}; what the desk wants from the page it is on. */
  constructor(kv, page) {
    this.#kv = kv
    this.#page = page
    kv.addEventListener("change", ({ detail }) => this.#changed(detail.facts))
    kv.addEventListener("state", () => this.#stateChanged())
    kv.addEventListener("pending", () => this.#pendingChanged())
    kv.addEventListener("presence", () => page.redraw())
    kv.addEventListener("notice", ({ detail }) => page.toast(detail.message))
  }

  get kv() {
    return this.#kv
  }

  /** The server's time, as far as it is known. */
  now() {
    return Date.now() - this.#kv.clockAhead
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

  redraw() {
    this.#page.redraw()
  }

  // --- the list ---

  setFilter(text) {
    this.filter = text
    this.rows.filter(text)
    this.#page.redraw()
  }

  // --- opening ---

  /** Opens a key; the tab's own entry shows at once, the server's answer when it comes. */
  openKey(key, { navigate = true, focus = true } = {}) {
    this.fresh = null
    const problem = problemWithKey(key)
    const draft = this.#drafts.get(key) ?? new Draft(key, this.#kv.entry(key))
    this.open = { key, draft, answer: problem ? { refusal: { message: problem } } : { asking: true } }
    if (navigate) this.#page.navigate(key)
    if (focus) this.#page.focus("detail")
    if (!problem) this.#ask(this.open)
    this.#page.redraw()
  }

  close({ navigate = true } = {}) {
    const key = this.open?.key
    this.open = null
    this.fresh = null
    if (navigate) this.#page.navigate(null)
    this.#page.focus("list", key)
    this.#page.redraw()
  }

  startNew(key = "") {
    this.open = null
    this.fresh ??= { key, text: "", problem: null }
    if (key) this.fresh.key = key
    this.#page.navigate(null)
    this.#page.focus("new")
    this.#page.redraw()
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
    this.#page.navigate(key)
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
      await this.#kv.set(key, value, { ifRevision: draft.ifRevision })
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
    if (this.unsent.has(key)) return this.#page.toast(`The last change of ${key} is still on its way.`)
    try {
      await this.#kv.delete(key, { ifRevision: entry.revision })
    } catch (refusal) {
      const changed = refusal.code === "conflict"
      return this.#page.toast(changed ? `Not deleted: ${key} has just changed in another tab.` : refusal.message)
    }
    this.#drafts.delete(key)
    if (this.open?.key === key) this.close()
    this.#page.deleted(key, () => this.#bringBack(entry))
  }

  async #bringBack({ key, value, expires_at }) {
    const ttl = expires_at ? Math.max(1, (Date.parse(expires_at) - this.now()) / 1_000) : undefined
    try {
      await this.#kv.set(key, value, { ifRevision: 0, ttl })
      this.#page.say(`${key} is back`)
      this.openKey(key)
    } catch (refusal) {
      const taken = refusal.code === "conflict"
      this.#page.toast(taken ? `${key} has been created again meanwhile; it was left as it is.` : refusal.message)
    }
  }

  // --- what the client tells ---

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

  #changed(facts) {
    const now = Date.now()
    const first = !this.synced
    if (facts.length > MANY) this.#replaceRows()
    for (const fact of facts) {
      if (facts.length <= MANY) this.#placeRow(fact)
      if (!fact.mine && !first) this.#mark(fact, now)
      this.#followDraft(fact)
    }
    if (!first && facts[0].resync) this.away += facts.filter(({ mine }) => !mine).length
    this.#page.redraw()
  }

  #replaceRows() {
    this.rows.replace([...new Set([...this.#kv.keys(), ...this.unsent])])
  }

  #placeRow({ key, entry, mine }) {
    this.#leaving.delete(key)
    if (entry) return this.rows.add(key)
    if (mine || !this.rows.has(key)) return this.#dropRow(key)
    // Deleted elsewhere: the row stays for a moment, so that one sees what has gone.
    this.#leaving.add(key)
    setTimeout(() => this.#leaving.delete(key) && this.#dropRow(key), LEAVING)
  }

  #dropRow(key) {
    if (this.#kv.entry(key) || this.unsent.has(key)) return
    this.rows.remove(key)
    this.#page.redraw()
  }

  #mark({ key, entry, old, origin, resync }, now) {
    const kind = !entry ? "gone" : old ? "changed" : "new"
    this.marks.note(key, kind, whoWrote(origin), now, resync)
  }

  #followDraft(fact) {
    const { key, entry, origin } = fact
    const draft = this.open?.key === key ? this.open.draft : this.#drafts.get(key)
    if (!draft) return
    const outcome = this.#learn(draft, entry ?? null, origin)
    if (!draft.edited && draft.saving === null) this.#drafts.delete(key)
    if (this.open?.key !== key) return
    this.open.answer = entry ? { known: true } : { missing: true }
    this.open.refusal = null
    if (outcome === "updated" && !fact.mine) this.#page.say(`${key} ${entry ? "changed" : "was deleted"}: ${whoWrote(origin)}`)
    // A push does not say when the entry was created.
    if (!entry) this.open.created = undefined
    this.#ask(this.open)
  }

  #stateChanged() {
    const { state } = this.#kv
    if (state === "live") {
      this.lastLive = null
      if (!this.synced) this.#begin()
      else if (this.wasOffline) this.#backOnline()
      this.wasOffline = false
    } else this.lastLive ??= Date.now()
    if (state === "offline") {
      if (!this.wasOffline) this.#page.say("Offline. What you save is kept in this tab until the connection is back.")
      this.wasOffline = true
      this.away = 0
    }
    if (state === "signed out") this.#page.signedOut()
    this.#page.redraw()
  }

  #begin() {
    this.synced = true
    if (this.open?.answer.asking) this.#ask(this.open)
  }

  #backOnline() {
    const changed = this.away === 0 ? "" : ` ${this.away} ${this.away === 1 ? "key" : "keys"} changed while you were away.`
    this.#page.say(`Back online.${changed}`)
    this.#page.toast(`Back online.${changed}`)
  }

  #pendingChanged() {
    const before = this.unsent
    this.unsent = new Set(this.#kv.pending.flatMap(({ keys }) => keys))
    for (const key of this.unsent) this.rows.add(key)
    for (const key of before) if (!this.unsent.has(key) && !this.#leaving.has(key)) this.#dropRow(key)
    this.#page.redraw()
  }
}

/** Who wrote, as one says it: "Firefox on Linux", or what the server itself did. */
export function whoWrote(origin) {
  if (!origin) return "while you were away"
  return { expiry: "it expired", import: "an import", admin: "an administrator" }[origin.via] ?? origin.label
}

/** What happened to a key while it was being edited. */
export function conflictText({ conflict, base }) {
  const who = whoWrote(conflict.origin ?? conflict.entry?.origin)
  if (!conflict.entry) return "Saving will create it again."
  const where = base ? `while you were editing ${base.revision}` : "before you could create it"
  return `${who === "while you were away" ? "Somebody" : who} saved revision ${conflict.entry.revision} ${where}.`
}
