// Addresses that the past leads to. No DOM.

export const keyPath = (key) => `/keys?${new URLSearchParams({ key })}`

/** The history of a key; with a `revision`, what that one changed. */
export function historyPath(key, revision) {
  const query = new URLSearchParams({ key, tab: "history" })
  if (revision !== undefined) query.set("to", revision)
  return `/keys?${query}`
}
