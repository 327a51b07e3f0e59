// Describes a conflict. No DOM.

import { whoWrote } from "../../shared/texts.js"

/** Return the change by another writer to a key that is being edited, in words. */
export function conflictText({ conflict, base }) {
  const who = whoWrote(conflict.origin ?? conflict.entry?.origin)
  if (!conflict.entry) return "Saving will create it again."
  const where = base ? `while you were editing ${base.revision}` : "before you could create it"
  return `${who === "while you were away" ? "Somebody" : who} saved revision ${conflict.entry.revision} ${where}.`
}
