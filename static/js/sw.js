// The service worker: gives a tab the dashboard's page and its files when there is no network. Always the network first, so a new
// version is never hidden; nothing of the API is kept; and a page made for one user goes when the server no longer takes the
// browser for them. The server puts FILES and VERSION in front, so that it is another worker whenever a file has changed.

/* global FILES, VERSION */

const CACHE = `realtime_kv ${VERSION}`
const PAGE = "/keys" // one page, whatever it shows
const PAGES = [PAGE, "/activity", "/trash"]
const WITHIN = 6_000 // for the network, where we have the page

addEventListener("install", (event) => {
  event.waitUntil(fill().then(() => skipWaiting()))
})

addEventListener("activate", (event) => {
  event.waitUntil(dropOthers().then(() => clients.claim()))
})

addEventListener("fetch", (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== "GET" || url.origin !== location.origin) return
  if (request.mode === "navigate") {
    if (PAGES.includes(url.pathname)) event.respondWith(page(event))
    else if (url.pathname === "/signin") event.waitUntil(forget())
  } else if (url.pathname.startsWith("/static/") || url.pathname === "/rkv.js") event.respondWith(file(event, url.pathname))
})

async function fill() {
  const cache = await caches.open(CACHE)
  // The page comes along, so that the very first visit can be opened again without a network.
  await Promise.all([cache.addAll(FILES), keepPage(cache, await fetch(PAGE, { redirect: "manual" }))])
}

async function dropOthers() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name)
}

async function page(event) {
  const cache = await caches.open(CACHE)
  const kept = await cache.match(PAGE)
  try {
    const answer = await within(fetch(event.request), kept)
    // What stands in front of a server that is gone answers for it.
    if (kept && [502, 503, 504].includes(answer.status)) return kept
    aside(event, keepPage(cache, answer.clone()))
    return answer
  } catch (error) {
    if (kept) return kept
    throw error
  }
}

/** A redirect to the sign-in page says that nobody is signed in. */
async function keepPage(cache, answer) {
  if (answer.ok && !answer.redirected) await cache.put(PAGE, answer)
  else if (answer.status !== 0 || answer.type === "opaqueredirect") await cache.delete(PAGE)
}

async function forget() {
  await (await caches.open(CACHE)).delete(PAGE)
}

async function file(event, path) {
  const cache = await caches.open(CACHE)
  try {
    const answer = await fetch(event.request)
    // Those of this version came all at once, with it: one of a newer version would not go with the others.
    if (answer.ok && !FILES.includes(path)) aside(event, cache.put(path, answer.clone()))
    return answer
  } catch (error) {
    const kept = await cache.match(path)
    if (kept) return kept
    throw error
  }
}

/** Nobody waits for what is kept, and without room for it one goes on. */
function aside(event, work) {
  event.waitUntil(work.catch(() => {}))
}

function within(answer, otherwise) {
  if (!otherwise) return answer
  return Promise.race([answer, new Promise((_, reject) => setTimeout(() => reject(new Error("no answer in time")), WITHIN))])
}
