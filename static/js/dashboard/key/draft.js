// The open key and what its reader is writing: which entry the text began from, what has become of that entry since, and
// which `if_revision` a save has to carry. A draft is never overwritten. No DOM, no socket.

import { same } from "../../values.js"
import { editorText, formatJson, isPlain, readJson } from "../shared/json-text.js"

export class Draft {
  /** The entry that the text is based on; null when there is none: then a save creates it. */
  base
  text
  /** What the text is: "json", or "text", the value itself. */
  mode
  /** What a save makes of the expiry: null keeps it; {ttl} in seconds, null for never; {at} in milliseconds; {problem}. */
  expires = null
  /** {entry, origin} once the entry has become another one while the text was being edited; entry null: deleted. */
  conflict = null
  /** What a save has sent and that is not acknowledged yet, {text, mode, expires, value}; else null. */
  saving = null

  #baseText
  #baseMode
  #read = { text: null, mode: null, reading: null }

  constructor(key, entry) {
    this.key = key
    this.#restOn(entry ?? null)
    this.#rewind()
  }

  /** The draft of a `record`, as it was. */
  static from({ key, base, text, mode, expires }) {
    return Object.assign(new Draft(key, base), { text, mode, expires })
  }

  /** What makes the same draft again: plain data. */
  get record() {
    const { key, base, text, mode, expires } = this
    return { key, base, text, mode, expires }
  }

  /** Whether somebody else's value is there now, so that one has to be chosen before a save. */
  get mustChoose() {
    return Boolean(this.conflict?.entry)
  }

  get edited() {
    return this.textEdited || this.expires !== null
  }

  get textEdited() {
    if (this.mode === this.#baseMode) return this.text !== this.#baseText
    return !this.base || !this.#says(this.base.value)
  }

  /** Whether there is something that nothing has been done with yet. */
  get unsaved() {
    return this.edited && !this.#isSent
  }

  /** The value that the text stands for: {value} or {problem}. */
  get reading() {
    const { text, mode } = this
    if (this.#read.text !== text || this.#read.mode !== mode)
      this.#read = { text, mode, reading: mode === "text" ? readText(text) : readJson(text) }
    return this.#read.reading
  }

  /** What a save must carry, so that it can never overwrite what its writer has not seen. */
  get ifRevision() {
    return this.conflict?.entry === null ? 0 : (this.base?.revision ?? 0)
  }

  type(text) {
    this.text = text
  }

  /** The same text or value the other way. A text value stays one; what cannot be said as plain text stays JSON. */
  setMode(mode) {
    if (mode === this.mode) return
    const { value, problem } = this.reading
    if (mode === "json") {
      const rewritten = typeof this.base?.value === "string" || Boolean(readJson(this.text).problem)
      if (rewritten) this.text = this.text === "" && !this.base ? "" : JSON.stringify(this.text)
    } else if (!problem && typeof value === "string") {
      if (!isPlain(value)) return
      this.text = value
    }
    this.mode = mode
  }

  format() {
    const { value, problem } = this.reading
    if (problem || this.mode === "text") return false
    this.text = formatJson(value)
    return true
  }

  /** What a save sends now: {value, ifRevision, ttl}. */
  send(now) {
    const { text, mode, expires, reading } = this
    this.saving = { text, mode, expires, value: reading.value }
    const ttl = expires && (expires.at === undefined ? expires.ttl : Math.max(0.001, (expires.at - now) / 1_000))
    return { value: reading.value, ifRevision: this.ifRevision, ...(expires ? { ttl } : {}) }
  }

  /** A tab that is gone has sent this {value, ttl?}, and it is under way again. */
  resume({ value, ttl }) {
    this.mode = isPlain(value) ? "text" : "json"
    this.text = this.mode === "text" ? value : editorText(value)
    if (ttl !== undefined) this.expires = { ttl }
    this.saving = { text: this.text, mode: this.mode, expires: this.expires, value }
  }

  /** Back to the entry as it is now. */
  discard() {
    if (this.conflict) this.#restOn(this.conflict.entry)
    this.conflict = null
    this.expires = null
    this.#rewind()
  }

  /** The entry is now this one (null: deleted). Returns what that meant: "same", "updated", "agrees", "conflict". */
  entryIs(entry, origin = entry?.origin) {
    const known = this.conflict ? this.conflict.entry : this.base
    if (isSame(entry, known)) return "same"
    const ours = this.saving !== null && entry !== null && same(this.saving.value, entry.value)
    if (ours || !this.textEdited || (entry && this.#says(entry.value))) {
      const sent = ours && this.#isSent // else there was typed on while the save was under way
      if (ours && this.expires === this.saving.expires) this.expires = null
      this.#restOn(entry)
      this.conflict = null
      if (sent) this.#stay()
      else if (!ours) this.#rewind()
      return ours ? "agrees" : "updated"
    }
    if (entry && this.base && same(entry.value, this.base.value)) {
      // what was written again as it was hides nothing from whoever writes over it
      this.#restOn(entry)
      this.conflict = null
      return "updated"
    }
    this.conflict = { entry, origin }
    return "conflict"
  }

  /** Its key has another name now, with this entry. */
  moveTo(key, entry) {
    this.key = key
    this.entryIs(entry)
  }

  keepMine() {
    this.#restOn(this.conflict.entry)
    this.conflict = null
  }

  takeTheirs() {
    this.discard()
  }

  /** What both wrote, put together: the text is now based on theirs, too. */
  takeMerged(value) {
    this.keepMine()
    this.mode = "json"
    this.text = editorText(value)
  }

  get #isSent() {
    const { saving } = this
    return saving !== null && saving.text === this.text && saving.mode === this.mode && saving.expires === this.expires
  }

  #says(value) {
    return !this.reading.problem && same(this.reading.value, value)
  }

  #restOn(entry) {
    this.base = entry
    this.#baseMode = entry && isPlain(entry.value) ? "text" : "json"
    this.#baseText = !entry ? "" : this.#baseMode === "text" ? entry.value : editorText(entry.value)
  }

  #rewind() {
    this.text = this.#baseText
    this.mode = this.#baseMode
  }

  /** What has been saved stays on the screen as it was typed. */
  #stay() {
    this.#baseText = this.text
    this.#baseMode = this.mode
  }
}

function readText(text) {
  if (/\p{Surrogate}/u.test(text)) return { problem: { line: 1, column: 1, message: "this text holds half a character (a lone surrogate)" } }
  return { value: text }
}

/** The revision alone does not say it: a restored backup counts its own. */
function isSame(a, b) {
  return a && b ? a.revision === b.revision && same(a.value, b.value) : !a && !b
}
