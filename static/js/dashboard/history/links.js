// Addresses of keys and histories. No DOM.

export const keyPath = (key) => `/keys?${new URLSearchParams({ key })}`

/**
 * Return the address of a key's history; with a `revision`, of that revision's change.
 * @param {string} key
 * @param {number} [revision]
 */
export function historyPath(key, revision) {
  const query = new URLSearchParams({ key, tab: "history" })
  if (revision !== undefined) query.set("to", String(revision))
  return `/keys?${query}`
}
