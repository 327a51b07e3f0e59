// The JavaScript client of realtime_kv: think "localStorage that follows the user and never lies".
//
//     import { connect } from "https://your.server/rkv.js"
//     const kv = await connect()                          // the session cookie; or connect({url, token})
//     await kv.set("colour", "red")                       // resolves once it is on the server's disk
//     kv.get("colour")                                    // "red", at once, from this tab's own replica
//     kv.on("app/*", ({key, value}) => …)                 // whatever changes it, in this tab or any other
//
// What `get` and `entries` show is always what the server holds, at one revision, never a mixture and never a guess:
// a write shows when it is durable. Until then it is in `pending`, which lives as long as the page: nothing is kept in the
// browser. (The dashboard does, by `kv.keep()`, for the user of its own cookie.)

import { Client } from "/static/js/client.js"

export { Client }
export { secondStep, signIn, signOut, signUp } from "/static/js/accounts.js"
export { Refusal } from "/static/js/outbox.js"
export { InvalidValue } from "/static/js/values.js"
export { compareKeys, problemWithKey } from "/static/js/keys.js"

/**
 * Connects, and resolves once the tab holds what the server holds; rejects with a Refusal (`unauthenticated`) when
 * nobody is signed in. While the server cannot be reached it goes on trying.
 *
 * @param {{url?: string, token?: string}} options `url`: the server, when it is not the one that this module came from;
 *   `token`: an API or session token instead of the cookie.
 * @returns {Promise<Client>}
 */
export async function connect(options = {}) {
  const kv = new Client(options)
  await kv.ready
  return kv
}
