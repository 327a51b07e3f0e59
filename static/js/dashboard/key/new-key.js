// A key that is to be: its name, the kind of its value, and the value as it is being typed. No DOM.

import { problemWithKey } from "../../keys.js"
import { Draft } from "./draft.js"

export const KINDS = ["json", "text", "number", "boolean"]

export class NewKey {
  kind = "json"
  /** Why this cannot be the name of a key, once somebody has tried; else null. */
  problem = null

  constructor(key) {
    this.key = key
    this.draft = new Draft(key, null)
  }

  /** A form that was begun on an earlier page, from a record of it. */
  static from({ kind, ...record }) {
    return Object.assign(new NewKey(record.key), { kind, draft: Draft.from(record) })
  }

  rename(key) {
    this.key = key
    this.problem = null
  }

  /** Another kind of value; what has been typed is kept where it can be one of those. */
  become(kind) {
    const { draft } = this
    if (kind !== "text" && draft.text === "") draft.mode = "json"
    draft.setMode(kind === "text" ? "text" : "json")
    const { value, problem } = draft.reading
    if (kind === "boolean") draft.type(String(value !== false))
    if (kind === "number" && (problem || typeof value !== "number")) draft.type("")
    this.kind = kind
  }

  /** Whether what is typed is a value of this kind. */
  get fits() {
    const { value, problem } = this.draft.reading
    return !problem && (this.kind !== "number" || typeof value === "number")
  }

  /** Which part keeps it from being created, "key", "value" or "expires"; null when nothing does. `draft`: that of a key of this name. */
  check(draft = null) {
    this.problem = problemWithKey(this.key) ?? (draft && "There is unsaved text for this key already.")
    if (this.problem) return "key"
    if (!this.fits) return "value"
    return this.draft.expires?.problem ? "expires" : null
  }
}
