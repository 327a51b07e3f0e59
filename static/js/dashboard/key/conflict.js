// What others did to a key while it was being edited. No DOM.

import { whoWrote } from "../shared/origins.js"

/** What happened to a key while it was being edited. */
export function conflictText({ conflict, base }) {
  const who = whoWrote(conflict.origin ?? conflict.entry?.origin)
  if (!conflict.entry) return "Saving will create it again."
  const where = base ? `while you were editing ${base.revision}` : "before you could create it"
  return `${who === "while you were away" ? "Somebody" : who} saved revision ${conflict.entry.revision} ${where}.`
}
