// The JavaScript client of realtime_kv: like localStorage, but it follows the user, and shows durable values only.
//
//     import { connect } from "https://your.server/rkv.js"
//     const kv = await connect()                          // the session cookie; or connect({url, token})
//     await kv.set("colour", "red")                       // resolves once it is on the server's disk
//     kv.get("colour")                                    // "red", at once, from this tab's own replica
//     kv.on("app/*", ({key, value}) => …)                 // every change, by this tab or any other
//
// `get` and `entries` always show the server's entries at one revision, never a mixture and never a guess: a write
// shows once it is durable. Until then it is in `pending`, which lives as long as the page: the browser stores nothing.
// (The dashboard does persist, by `kv.keep()`, for the user of its own cookie.)

import { Client } from "/static/js/client/client.js"

export { secondStep, signIn, signOut, signUp } from "/static/js/client/auth.js"
export { InvalidValue } from "/static/js/client/json-values.js"
export { compareKeys, problemWithKey } from "/static/js/client/keys.js"
export { Refusal } from "/static/js/client/outbox.js"
export { Client }

/**
 * Connect. Resolves once the tab is in sync with the server; rejects with a Refusal (`unauthenticated`) if nobody is
 * signed in. Retries while the server cannot be reached.
 *
 * @param {{url?: string, token?: string}} options `url`: the server, if this module came from another one;
 *   `token`: an API or session token instead of the cookie.
 * @returns {Promise<Client>}
 */
export async function connect(options = {}) {
  const kv = new Client(options)
  await kv.ready
  return kv
}
