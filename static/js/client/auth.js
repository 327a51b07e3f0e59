// Sign-up, sign-in and sign-out for pages on another origin, which hold a token instead of the cookie. The page stores
// the token; it gives access to the whole account, so store it out of reach of the page's other scripts.

import { Refusal } from "./outbox.js"

/** @typedef {{ username: string }} User */

/**
 * Create a user and sign them in. Resolves to {token, expires_at, user, recovery_codes}: the token is for
 * `connect({url, token})`; show the codes to the user, who cannot see them again. Rejects with a Refusal: `name_taken`,
 * `invalid_name`, `invalid_password`, `rate_limited` (with `retry_after`), `forbidden` if nobody can sign up, or only
 * with an invitation (`needs: "invitation"`).
 *
 * @param {{url?: string, username: string, password: string, invitation?: string}} who `url`: the server, when it is
 *   not the one that this module came from; `invitation`: the last part of an invitation's link.
 * @returns {Promise<{ token: string, expires_at: string, user: User, recovery_codes: string[] }>}
 */
export async function signUp({ url, username, password, invitation }) {
  return enter(url, "sign_up", { username, password, token: true, ...(invitation && { invitation }) })
}

/**
 * Sign in an existing user. Resolves to {token, expires_at, user}; rejects with `invalid_credentials`, or with
 * `second_step_needed` (with a `ticket` for `secondStep`).
 * @param {{ url?: string, username: string, password: string }} who
 * @returns {Promise<{ token: string, expires_at: string, user: User }>}
 */
export async function signIn({ url, username, password }) {
  return enter(url, "sign_in", { username, password, token: true })
}

/**
 * Complete a sign-in with a code of the user's authenticator or a recovery code. Rejects with `invalid_code`.
 * @param {{ url?: string, ticket: string, code: string }} step
 * @returns {Promise<{ token: string, expires_at: string, user: User }>}
 */
export async function secondStep({ url, ticket, code }) {
  return enter(url, "second_step", { ticket, code, token: true })
}

/**
 * End the token's session and every tab that uses it.
 * @param {{ url?: string, token: string }} session
 */
export async function signOut({ url, token }) {
  await call(url, "sign_out", { headers: { Authorization: `Bearer ${token}` } })
}

/** @param {string | undefined} url @param {string} name @param {object} body */
async function enter(url, name, body) {
  const headers = { "Content-Type": "application/json" }
  const { ok: _, ...answer } = await call(url, name, { headers, body: JSON.stringify(body) })
  return answer
}

/** @param {string | undefined} url @param {string} name @param {RequestInit} request */
async function call(url, name, request) {
  const { origin } = new URL(url ?? import.meta.url)
  // The cookie is for the server's own pages.
  const response = await fetch(`${origin}/api/v1/${name}`, { method: "POST", credentials: "omit", ...request }).catch(
    () => null,
  )
  if (response === null)
    throw new Refusal({
      code: "unavailable",
      message: `${origin} cannot be reached from here. (Is this page's origin one of its RKV_ORIGINS?)`,
    })
  if (response.status === 204) return {}
  const answer = await response.json().catch(() => null)
  if (answer === null)
    // an error page of a proxy, or the sign-in page of a network
    throw new Refusal({
      code: "unavailable",
      message: `Something in front of ${origin} answered instead of the server (${response.status}). Try again later.`,
    })
  if (response.ok) return answer
  const { type: _type, title, status: _status, detail, code = "internal", ...extra } = answer
  throw new Refusal({ code, message: detail ?? title ?? `The server answered ${response.status}.`, ...extra })
}
