// The key that the new key form describes: its name, the kind of its value, and the value as typed. No DOM.

import { problemWithKey } from "../../../client/keys.js"
import { Draft } from "./draft.js"

export const KINDS = ["json", "text", "number", "boolean"]

export class NewKey {
  kind = "json"
  /**
   * Why this cannot be the name of a key, once the user has tried to create it; else null.
   * @type {string | null}
   */
  problem = null

  /** @param {string} key */
  constructor(key) {
    this.key = key
    this.draft = new Draft(key, null)
  }

  /** Recreate a form of an earlier page from its record. */
  static from(/** @type {any} */ { kind, ...record }) {
    return Object.assign(new NewKey(record.key), { kind, draft: Draft.from(record) })
  }

  /** @param {string} key */
  rename(key) {
    this.key = key
    this.problem = null
  }

  /**
   * Change the kind of the value; the typed text is kept if it is valid for that kind.
   * @param {string} kind
   */
  become(kind) {
    const { draft } = this
    if (kind !== "text" && draft.text === "") draft.mode = "json"
    draft.setMode(kind === "text" ? "text" : "json")
    const { value, problem } = draft.reading
    if (kind === "boolean") draft.type(String(value !== false))
    if (kind === "number" && (problem || typeof value !== "number")) draft.type("")
    this.kind = kind
  }

  /** Whether the typed text is a value of this kind. */
  get fits() {
    const { value, problem } = this.draft.reading
    return !problem && (this.kind !== "number" || typeof value === "number")
  }

  /** Return the invalid part, "key", "value" or "expires", or null. `draft`: that of an existing key of this name. */
  check(draft = null) {
    this.problem = problemWithKey(this.key) ?? (draft && "There is unsaved text for this key already.")
    if (this.problem) return "key"
    if (!this.fits) return "value"
    return this.draft.expires?.problem ? "expires" : null
  }
}
