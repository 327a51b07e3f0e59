// The open key and what its reader is writing: which entry the text began from, what has become of that entry since, and
// which `if_revision` a save has to carry. A draft is never overwritten. No DOM, no socket.

import { same } from "../../values.js"
import { formatJson, readJson } from "../shared/json-text.js"

export class Draft {
  /** The entry that the text is based on; null when there is none: then a save creates it. */
  base
  text
  /** {entry, origin} once the entry has become another one while the text was being edited; entry null: deleted. */
  conflict = null
  /** The text that a save has sent and that is not acknowledged yet; else null. */
  saving = null

  #baseText
  #read = { text: null, reading: null }

  constructor(key, entry) {
    this.key = key
    this.#restOn(entry ?? null)
    this.text = this.#baseText
  }

  get edited() {
    return this.text !== this.#baseText
  }

  /** Whether there is text that nothing has been done with yet. */
  get unsaved() {
    return this.edited && this.text !== this.saving
  }

  /** The text as JSON: {value} or {problem}. */
  get reading() {
    if (this.#read.text !== this.text) this.#read = { text: this.text, reading: readJson(this.text) }
    return this.#read.reading
  }

  /** What a save must carry, so that it can never overwrite what its writer has not seen. */
  get ifRevision() {
    return this.base?.revision ?? 0
  }

  type(text) {
    this.text = text
  }

  format() {
    const { value, problem } = this.reading
    if (!problem) this.text = formatJson(value)
    return !problem
  }

  /** Back to the entry as it is now. */
  discard() {
    if (this.conflict) this.#restOn(this.conflict.entry)
    this.conflict = null
    this.text = this.#baseText
  }

  /** The entry is now this one (null: deleted). Returns what that meant: "same", "updated", "agrees", "conflict". */
  entryIs(entry, origin = entry?.origin) {
    const known = this.conflict ? this.conflict.entry : this.base
    if (isSame(entry, known)) return "same"
    const ours = this.saving !== null && entry && says(this.saving, entry.value)
    if (ours || !this.edited || (entry && says(this.text, entry.value))) {
      const keep = ours && this.text !== this.saving // typed on while the save was under way
      this.#restOn(entry)
      this.conflict = null
      if (!keep) this.text = ours ? this.saving : this.#baseText
      if (!keep) this.#baseText = this.text
      return ours ? "agrees" : "updated"
    }
    this.conflict = { entry, origin }
    return "conflict"
  }

  keepMine() {
    this.#restOn(this.conflict.entry)
    this.conflict = null
  }

  takeTheirs() {
    this.discard()
  }

  #restOn(entry) {
    this.base = entry
    this.#baseText = entry ? formatJson(entry.value) : ""
  }
}

/** The revision alone does not say it: a restored backup counts its own. */
function isSame(a, b) {
  return a && b ? a.revision === b.revision && same(a.value, b.value) : !a && !b
}

function says(text, value) {
  const reading = readJson(text)
  return !reading.problem && same(reading.value, value)
}
