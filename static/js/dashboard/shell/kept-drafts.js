// Keeps unsaved text beyond the page, when the session ends or the page is reloaded for a new version: in this tab's
// session storage, until the same user is back. No DOM.

const PLACE = "unsaved texts"

/** Store these records of Draft for `user`. Return false if storage is full or forbidden. */
export function keepDrafts(user, drafts) {
  if (drafts.length === 0) return true
  try {
    sessionStorage.setItem(PLACE, JSON.stringify({ user, drafts }))
    return true
  } catch {
    return false
  }
}

/** Take the drafts stored for `user`; drafts of another user are deleted. */
export function takeDrafts(user) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null")
    sessionStorage.removeItem(PLACE)
    return kept?.user === user ? kept.drafts : []
  } catch {
    return []
  }
}
