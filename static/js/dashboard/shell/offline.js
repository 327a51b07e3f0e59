// Lets the dashboard open without a network: stores the tab's state and outbox in this browser, and registers the
// service worker that caches the page and its files. A sign-out deletes both.

/** @import { Client } from "../../client/client.js" */

const CACHES = "realtime_kv "

/**
 * Begin to store the state; from the page's next start on, the stored state is shown first.
 * @param {Client} kv
 * @param {string} username
 */
export async function keepHere(kv, username) {
  await kv.ready
  await kv.keep()
  if (kv.state === "signed out") return
  remember(username)
  await work()
}

/**
 * Delete the state of an earlier session, once its writes have been sent, and store nothing more.
 * @param {Client} kv
 */
export async function keepNothing(kv) {
  await kv.ready
  await kv.keep()
  while (kv.pending.length > 0 && kv.state !== "signed out")
    await new Promise((go) => kv.addEventListener("pending", go, { once: true }))
  await forgetHere(kv)
  await (await navigator.serviceWorker?.getRegistration())?.unregister()
}

/**
 * Delete all data of the user from this browser.
 * @param {Client} kv
 */
export async function forgetHere(kv) {
  remember(null)
  await kv.forget()
  // Caches fail while the browser clears the site's data, which the server requests on a sign-out in another tab.
  await forgetPage().catch(() => {})
}

async function forgetPage() {
  if (!globalThis.caches) return
  for (const name of await caches.keys()) if (name.startsWith(CACHES)) await (await caches.open(name)).delete("/keys")
}

/** @param {string | null} username */
function remember(username) {
  try {
    if (username) localStorage.setItem("kept for", username)
    else localStorage.removeItem("kept for")
  } catch {
    // then the next start has no stored state
  }
}

/** Register the service worker; browsers allow that over HTTPS and on localhost only. */
async function work() {
  if (!navigator.serviceWorker) return
  const policy = globalThis.trustedTypes?.createPolicy("rkv", { createScriptURL: ourWorker })
  await navigator.serviceWorker.register(policy ? policy.createScriptURL("/sw.js") : "/sw.js")
}

function ourWorker(url) {
  if (url !== "/sw.js") throw new TypeError(`not our worker: ${url}`)
  return url
}
