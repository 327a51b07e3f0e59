// The author of a write, in words. No DOM.

const SYSTEM = { expiry: "it expired", import: "an import", admin: "an administrator" }

/** Return the author: "Firefox on Linux", or "it expired" and the like for writes by the server itself. */
export function whoWrote(origin) {
  if (!origin) return "while you were away"
  return SYSTEM[origin.via] ?? origin.label
}
