// The position of this browser's last look at the activity page, stored for each user. No DOM.

const placeOf = (username) => `last look of ${username}`

/**
 * Return {epoch, revision, at} or null; `at` in milliseconds.
 * @param {string} username
 */
export function lastLook(username) {
  try {
    const look = JSON.parse(localStorage.getItem(placeOf(username)) ?? "null")
    return typeof look?.epoch === "string" && Number.isSafeInteger(look.revision) && Number.isFinite(look.at)
      ? look
      : null
  } catch {
    return null // storage may be forbidden, or contain other data
  }
}

/** @param {string} username */
export function rememberLook(username, look) {
  try {
    localStorage.setItem(placeOf(username), JSON.stringify(look))
  } catch {
    // then everything counts as new the next time
  }
}
