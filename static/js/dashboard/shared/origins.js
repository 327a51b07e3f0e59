// Who wrote, as one says it. No DOM.

const HOUSE = { expiry: "it expired", import: "an import", admin: "an administrator" }

/** "Firefox on Linux", or what the server itself did. */
export function whoWrote(origin) {
  if (!origin) return "while you were away"
  return HOUSE[origin.via] ?? origin.label
}
