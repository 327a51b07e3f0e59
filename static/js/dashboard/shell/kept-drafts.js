// Unsaved text that outlives the page: when the session ends, or when the page is reloaded for a new version, it is kept in this tab
// (session storage) until the same user is here again. No DOM.

const PLACE = "unsaved texts"

/** Keeps these records of Draft for `user`. Returns whether they are kept: storage may be full or forbidden. */
export function keepDrafts(user, drafts) {
  if (drafts.length === 0) return true
  try {
    sessionStorage.setItem(PLACE, JSON.stringify({ user, drafts }))
    return true
  } catch {
    return false
  }
}

/** Takes what was kept for `user`; what was kept for somebody else is thrown away. */
export function takeDrafts(user) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE))
    sessionStorage.removeItem(PLACE)
    return kept?.user === user ? kept.drafts : []
  } catch {
    return []
  }
}
