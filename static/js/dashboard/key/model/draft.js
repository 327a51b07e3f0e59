// A draft of one key: the entry its text began from, the changes of that entry since, and the `if_revision` that a save
// must send. A draft is never overwritten. No DOM, no socket.

import { same } from "../../../client/json-values.js"
import { editorText, formatJson, isPlain, readJson } from "../../shared/json-text.js"

/**
 * @import { Json } from "../../../client/json-values.js"
 * @import { Entry, Origin } from "../../../client/replica.js"
 */
/** @typedef {{ message: string, line: number, column: number }} Problem */
/** @typedef {{ value?: any, problem?: Problem }} Reading The value that a text represents, or the problem with it. */
/**
 * The change of the expiry on save: null keeps it; `ttl` in seconds, null for never; `at` in milliseconds.
 * @typedef {{ ttl?: number | null, at?: number, problem?: string } | null} Expires
 */
/** @typedef {"json" | "text"} Mode */
/** @typedef {{ entry: Entry | null, origin?: Origin }} Conflict */
/** @typedef {{ key: string, base: Entry | null, text: string, mode: Mode, expires: Expires, kind?: string }} DraftRecord */

export class Draft {
  /**
   * The entry that the text is based on; null when there is none, in which case a save creates it.
   * @type {Entry | null}
   */
  base = null
  /** @type {string} */
  text
  /**
   * The form of the text: "json", or "text", the value itself.
   * @type {Mode}
   */
  mode
  /** @type {Expires} */
  expires = null
  /**
   * Set if the entry changed while the text was being edited; entry null: deleted.
   * @type {Conflict | null}
   */
  conflict = null
  /**
   * The content of a save that is sent and not yet acknowledged; else null.
   * @type {{ text: string, mode: Mode, expires: Expires, value: any } | null}
   */
  saving = null

  #baseText = ""
  /** @type {Mode} */
  #baseMode = "json"
  /** @type {{ text: string | null, mode: Mode | null, reading: Reading }} */
  #read = { text: null, mode: null, reading: {} }

  /** @param {string} key @param {Entry | null | undefined} entry */
  constructor(key, entry) {
    this.key = key
    this.#restOn(entry ?? null)
    this.text = this.#baseText
    this.mode = this.#baseMode
  }

  /**
   * Recreate the draft of a `record`.
   * @param {DraftRecord} record
   */
  static from({ key, base, text, mode, expires }) {
    return Object.assign(new Draft(key, base), { text, mode, expires })
  }

  /**
   * The draft as plain data, from which `from` recreates it.
   * @returns {DraftRecord}
   */
  get record() {
    const { key, base, text, mode, expires } = this
    return { key, base, text, mode, expires }
  }

  /** Whether another author's value is now stored, so that the user must choose one before saving. */
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

  /** Whether the draft has edits that are neither saved nor being saved. */
  get unsaved() {
    return this.edited && !this.#isSent
  }

  /**
   * The value that the text represents.
   * @returns {Reading}
   */
  get reading() {
    const { text, mode } = this
    if (this.#read.text !== text || this.#read.mode !== mode)
      this.#read = { text, mode, reading: mode === "text" ? readText(text) : readJson(text) }
    return this.#read.reading
  }

  /** The `if_revision` of a save, so that it can never overwrite a value that the user has not seen. */
  get ifRevision() {
    return this.conflict?.entry === null ? 0 : (this.base?.revision ?? 0)
  }

  /** @param {string} text */
  type(text) {
    this.text = text
  }

  /**
   * Convert the text to another mode. A text value stays a text value; a value that plain text cannot express stays
   * JSON.
   * @param {Mode} mode
   */
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

  /**
   * Start a save and return its arguments: {value, ifRevision, ttl}.
   * @param {number} now
   */
  send(now) {
    const { text, mode, expires, reading } = this
    this.saving = { text, mode, expires, value: reading.value }
    const ttl = expires && (expires.at === undefined ? expires.ttl : Math.max(0.001, (expires.at - now) / 1_000))
    return { value: reading.value, ifRevision: this.ifRevision, ...(expires ? { ttl } : {}) }
  }

  /**
   * Restore a save, {value, ttl?}, that a closed tab has sent; it is being sent again.
   * @param {{ value: any, ttl?: number | null }} save
   */
  resume({ value, ttl }) {
    this.mode = isPlain(value) ? "text" : "json"
    this.text = this.mode === "text" ? value : editorText(value)
    if (ttl !== undefined) this.expires = { ttl }
    this.saving = { text: this.text, mode: this.mode, expires: this.expires, value }
  }

  /** Return to the current entry. */
  discard() {
    if (this.conflict) this.#restOn(this.conflict.entry)
    this.conflict = null
    this.expires = null
    this.#rewind()
  }

  /**
   * Update to the current entry (null: deleted). Return the outcome: "same", "updated", "agrees", "conflict".
   * @param {Entry | null} entry
   * @param {Origin} [origin]
   */
  entryIs(entry, origin = entry?.origin) {
    const known = this.conflict ? this.conflict.entry : this.base
    if (isSame(entry, known)) return "same"
    const ours = this.saving !== null && entry !== null && same(this.saving.value, entry.value)
    if (ours || !this.textEdited || (entry && this.#says(entry.value))) {
      const sent = ours && this.#isSent // false if the user typed on while the save was being sent
      if (ours && this.expires === this.saving?.expires) this.expires = null
      this.#restOn(entry)
      this.conflict = null
      if (sent) this.#stay()
      else if (!ours) this.#rewind()
      return ours ? "agrees" : "updated"
    }
    if (entry && this.base && same(entry.value, this.base.value)) {
      // a write of the same value as before hides nothing from a user who overwrites it
      this.#restOn(entry)
      this.conflict = null
      return "updated"
    }
    this.conflict = { entry, origin }
    return "conflict"
  }

  /**
   * Follow a rename of the key, which now has this entry.
   * @param {string} key
   * @param {Entry} entry
   */
  moveTo(key, entry) {
    this.key = key
    this.entryIs(entry)
  }

  keepMine() {
    this.#restOn(this.conflict?.entry ?? null)
    this.conflict = null
  }

  takeTheirs() {
    this.discard()
  }

  /**
   * Use the merged value as the text; the draft is then also based on their entry.
   * @param {Json} value
   */
  takeMerged(value) {
    this.keepMine()
    this.mode = "json"
    this.text = editorText(value)
  }

  get #isSent() {
    const { saving } = this
    return saving !== null && saving.text === this.text && saving.mode === this.mode && saving.expires === this.expires
  }

  /** @param {Json} value */
  #says(value) {
    return !this.reading.problem && same(this.reading.value, value)
  }

  /** @param {Entry | null} entry */
  #restOn(entry) {
    this.base = entry
    this.#baseMode = entry && isPlain(entry.value) ? "text" : "json"
    this.#baseText = !entry ? "" : this.#baseMode === "text" ? String(entry.value) : editorText(entry.value)
  }

  #rewind() {
    this.text = this.#baseText
    this.mode = this.#baseMode
  }

  /** Keep the text as it was typed after it is saved. */
  #stay() {
    this.#baseText = this.text
    this.#baseMode = this.mode
  }
}

/** @param {string} text */
function readText(text) {
  if (/\p{Surrogate}/u.test(text))
    return { problem: { line: 1, column: 1, message: "this text holds half a character (a lone surrogate)" } }
  return { value: text }
}

/**
 * Compare value and revision: a restored backup counts its own revisions, so the revision alone is not enough.
 * @param {Entry | null} a
 * @param {Entry | null} b
 */
function isSame(a, b) {
  return a && b ? a.revision === b.revision && same(a.value, b.value) : !a && !b
}
