// Describes a conflict. No DOM.

import { whoWrote } from "../../shared/texts.js"

/** @import { Conflict, Draft } from "./draft.js" */

/**
 * Return the change by another writer to a key that is being edited, in words.
 * @param {Draft} draft
 */
export function conflictText({ conflict, base }) {
  const { entry, origin } = /** @type {Conflict} */ (conflict)
  const who = whoWrote(origin ?? entry?.origin)
  if (!entry) return "Saving will create it again."
  const where = base ? `while you were editing ${base.revision}` : "before you could create it"
  return `${who === "while you were away" ? "Somebody" : who} saved revision ${entry.revision} ${where}.`
}
