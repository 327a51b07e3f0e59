// Which writes of the past one wants to see. No DOM.

import { fold } from "../shared/fold.js"

/** By whom, as the address names it, and as people do. */
export const WHO = {
  tab: "This tab",
  device: "This browser",
  others: "Other devices",
  api: "API and tokens",
  house: "Expiry and imports",
}

const HOUSE = ["expiry", "import", "admin"]

/** One of `WHO`; a tab is also a browser. `us`: {session, wrote(revision), tokens}: ours, and the ids of the user's API tokens. */
export function isBy(who, { revision, origin }, { session, wrote, tokens }) {
  const house = HOUSE.includes(origin.via)
  const api = !house && (origin.via === "http" || tokens.has(origin.session))
  const ours = !house && !api && origin.session === session
  switch (who) {
    case "tab":
      return ours && wrote(revision)
    case "device":
      return ours
    case "others":
      return !house && !ours && !api
    case "api":
      return api
    case "house":
      return house
    default:
      return true
  }
}

const texts = new WeakMap() // op → what is searched, in lower case: made once

/** Whether the key or the value contains `text`, in whatever case. */
export function mentions(op, text) {
  if (text === "") return true
  if (!texts.has(op)) texts.set(op, fold(`${op.key}\n${op.op === "set" ? JSON.stringify(op.value) : ""}`))
  return texts.get(op).includes(fold(text))
}
