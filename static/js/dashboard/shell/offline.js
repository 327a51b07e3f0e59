// What makes the dashboard open without a network: the tab's state and outbox kept in this browser, and the service worker that keeps
// the page and its files. All of it goes when one signs out.

const CACHES = "realtime_kv "

/** Begins to keep; and from the page's next start on, what is kept is there first. */
export async function keepHere(kv, username) {
  await kv.ready
  await kv.keep()
  if (kv.state === "signed out") return
  remember(username)
  await work()
}

/** Throws away what an earlier session has kept, once the writes that it left behind have been sent, and keeps nothing more. */
export async function keepNothing(kv) {
  await kv.ready
  await kv.keep()
  while (kv.pending.length > 0 && kv.state !== "signed out") await new Promise((go) => kv.addEventListener("pending", go, { once: true }))
  await forgetHere(kv)
  await (await navigator.serviceWorker?.getRegistration())?.unregister()
}

/** Leaves nothing of the user in this browser. */
export async function forgetHere(kv) {
  remember(null)
  await kv.forget()
  // Caches fail while the browser clears the site's data, as the server has it do when one signs out in another tab.
  await forgetPage().catch(() => {})
}

async function forgetPage() {
  if (!globalThis.caches) return
  for (const name of await caches.keys()) if (name.startsWith(CACHES)) await (await caches.open(name)).delete("/keys")
}

function remember(username) {
  try {
    if (username) localStorage.setItem("kept for", username)
    else localStorage.removeItem("kept for")
  } catch {
    // then the next start is one without what was kept
  }
}

/** The browser takes a worker from HTTPS and localhost only. */
async function work() {
  if (!navigator.serviceWorker) return
  const policy = globalThis.trustedTypes?.createPolicy("rkv", { createScriptURL: ourWorker })
  await navigator.serviceWorker.register(policy ? policy.createScriptURL("/sw.js") : "/sw.js")
}

function ourWorker(url) {
  if (url !== "/sw.js") throw new TypeError(`not our worker: ${url}`)
  return url
}
