// The filters of the activity page. No DOM.

import { fold } from "../shared/texts.js"

/** The filter values for the author, as in the address, and their labels. */
export const WHO = {
  tab: "This tab",
  device: "This browser",
  others: "Other devices",
  api: "API and tokens",
  system: "Expiry and imports",
}

const SYSTEM = ["expiry", "import", "admin"]

/**
 * Whether a write passes the author filter `who`, one of `WHO`; a tab is also a browser. The third argument describes
 * this tab: {session, wrote(revision), tokens}, with the ids of the user's API tokens.
 */
export function isBy(who, { revision, origin }, { session, wrote, tokens }) {
  const system = SYSTEM.includes(origin.via)
  const api = !system && (origin.via === "http" || tokens.has(origin.session))
  const ours = !system && !api && origin.session === session
  switch (who) {
    case "tab":
      return ours && wrote(revision)
    case "device":
      return ours
    case "others":
      return !system && !ours && !api
    case "api":
      return api
    case "system":
      return system
    default:
      return true
  }
}

const texts = new WeakMap() // op → its searched text in lower case, created once

/**
 * Whether the key or the value contains `text`, ignoring case.
 * @param {string} text
 */
export function mentions(op, text) {
  if (text === "") return true
  if (!texts.has(op)) texts.set(op, fold(`${op.key}\n${op.op === "set" ? JSON.stringify(op.value) : ""}`))
  return texts.get(op).includes(fold(text))
}
