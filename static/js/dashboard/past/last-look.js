// When this browser last looked at what had happened: a position, kept for each user. No DOM.

const placeOf = (username) => `last look of ${username}`

/** {epoch, revision, at} or null; `at` in milliseconds. */
export function lastLook(username) {
  try {
    const look = JSON.parse(localStorage.getItem(placeOf(username)))
    return typeof look?.epoch === "string" && Number.isSafeInteger(look.revision) && Number.isFinite(look.at) ? look : null
  } catch {
    return null // storage may be forbidden, or hold something else
  }
}

export function rememberLook(username, look) {
  try {
    localStorage.setItem(placeOf(username), JSON.stringify(look))
  } catch {
    // then everything is new the next time
  }
}
