// The service worker: serves the dashboard from the cache if the server does not answer, and a page of its own instead
// of those that need the server. The server prepends FILES and VERSION, so every changed file makes a new worker.
//
// Rules:
// 1. Every request to the network has a time limit. If the network drops everything, the cache answers within seconds.
// 2. A page runs with the files of its own version: from the cache of that version, or from a server that runs it.
// 3. A worker takes over when no page of its predecessor is open, or when the only one asks it to, before a reload.
//    Chromium never answers a request that reaches the predecessor in that moment, and a page would load for ever.
// 4. API answers are never cached, and a page made for a user is deleted when the server no longer recognizes the
//    browser as theirs.

/* global FILES, VERSION */

const NAME = "realtime_kv "
const CACHE = NAME + VERSION
const PAGE_VERSIONS = `${NAME}pages` // the versions of the open pages: /<client id> → version
const OF_THE_SERVER = "server" // version of a page that is not cached: its files come from the server, if it answers
const MOST_NOTED = 200 // maximum of open pages whose version is stored
const VERSION_HEADER = "RKV-Files"
const PAGE = "/keys" // the one cached page, which serves every path of PAGES
const PAGES = [PAGE, "/activity", "/trash"]
const NEEDS_SERVER = "/needs-server"

const KEPT_PAGE_AFTER = 1_500 // milliseconds without an answer until the cached page is shown
const NO_ANSWER_AFTER = 2_500 // the same for pages that are not cached
const SILENT_FOR = 5_000 // for this time after a request without an answer, no page waits for the server
const WAIT_LONGER_FOR = 10_000 // for this time after the message "wait longer" of a page, the limit for pages is LONG_WAIT
const LONG_WAIT = 60_000
const FILE_WITHIN = 30_000
const INSTALL_WITHIN = 60_000
const IDLE_WITHIN = 10_000 // after this time the previous worker is assumed not to report that it is idle
const IDLE_FOR = 250 // requests for files follow a page
const ASK_IDLE = "idle?"

let newest = VERSION // the version that the server runs, as far as this worker knows
let silentUntil = 0
let waitLongerUntil = 0
let working = 0 // requests being answered, and answers being stored
let idleTimer = 0
const sayIdle = [] // functions to call when there are none

addEventListener("install", (event) => {
  event.waitUntil(fill())
})

addEventListener("activate", (event) => {
  event.waitUntil(takeOver())
})

addEventListener("message", (event) => {
  const { data, ports } = event
  if (data === "wait longer") waitLongerUntil = Date.now() + WAIT_LONGER_FOR
  if (data === "take over") event.waitUntil(takeOverFrom(ports[0]))
  if (data === ASK_IDLE)
    event.waitUntil(new Promise((idle) => sayIdle.push(idle)).then(() => ports[0].postMessage("idle")))
  settle()
})

addEventListener("fetch", (event) => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method !== "GET" || origin !== location.origin) return
  if (request.mode === "navigate") {
    if (!isDownload(pathname)) answer(event, page(event, pathname))
  } else if (pathname.startsWith("/static/") || pathname === "/rkv.js") answer(event, file(event, pathname))
})

function answer(event, promise) {
  event.respondWith(promise)
  work(event, event.handled ?? promise) // older browsers do not have handled
}

/** Keep the worker alive until `promise` is settled. */
function work(event, promise) {
  working += 1
  const done = promise
    .catch(() => {})
    .then(() => {
      working -= 1
      settle()
    })
  event.waitUntil(done)
}

function settle() {
  clearTimeout(idleTimer)
  if (working === 0 && sayIdle.length > 0)
    idleTimer = setTimeout(() => {
      for (const say of sayIdle.splice(0)) say()
    }, IDLE_FOR)
}

/** Take over from the previous worker, at the request of a page, if that is its only one. */
async function takeOverFrom(port) {
  const pages = await clients.matchAll({ type: "window", includeUncontrolled: true })
  if (pages.length > 1) return port.postMessage("others are open")
  await idleBefore()
  await skipWaiting()
}

/** Resolve when the previous worker is idle. */
async function idleBefore() {
  const { port1, port2 } = new MessageChannel()
  const idle = new Promise((done) => (port1.onmessage = done))
  registration.active?.postMessage(ASK_IDLE, [port2])
  await Promise.race([idle, after(IDLE_WITHIN)])
}

/** Return whether the path is a download or an API request: not a page, and possibly slow. */
const isDownload = (pathname) => pathname.startsWith("/api/") || /\.\w+$/.test(pathname)

async function fill() {
  const cache = await caches.open(CACHE)
  const soon = () => AbortSignal.timeout(INSTALL_WITHIN)
  const files = [...FILES, NEEDS_SERVER].map((path) => new Request(path, { signal: soon() }))
  // The page is cached as well, so that even the first visit can be opened again without a network.
  const first = await fetch(PAGE, { redirect: "manual", signal: soon() })
  await Promise.all([cache.addAll(files), keepPage(cache, first)])
}

/** Delete the caches of earlier versions, but those of open pages stay: such a page may still load a module. */
async function takeOver() {
  const open = new Map()
  for (const { id } of await clients.matchAll({ type: "window", includeUncontrolled: true }))
    open.set(id, await versionOf(id))
  const names = (await caches.keys()).filter(
    (name) => name.startsWith(NAME) && name !== CACHE && name !== PAGE_VERSIONS,
  )
  await caches.delete(PAGE_VERSIONS)
  for (const [id, version] of open) {
    // Pages that were open before the first worker have its version.
    const known = version ?? (names.length === 0 ? VERSION : null)
    if (known) await note(id, known)
  }
  const needed = new Set([...open.values()].map((version) => NAME + version))
  for (const name of names) if (!needed.has(name)) await caches.delete(name)
  await clients.claim()
}

// --- pages ---

async function page(event, pathname) {
  const kept = PAGES.includes(pathname) || pathname === "/" ? await match(PAGE) : null
  const answer = await fromServer(event, pathname, kept)
  if (answer) {
    await note(event.resultingClientId, answer.headers.get(VERSION_HEADER) ?? OF_THE_SERVER)
    return answer
  }
  if (kept && pathname === "/") return Response.redirect(PAGE, 303)
  await note(event.resultingClientId, VERSION)
  return kept ?? (await match(NEEDS_SERVER)) ?? Response.error()
}

/** Return the server's answer, or null if there is none in time. A late answer is evaluated as well. */
async function fromServer(event, pathname, kept) {
  const asked = fetch(event.request)
  work(
    event,
    asked.then((answer) => heard(pathname, PAGES.includes(pathname) ? answer.clone() : answer)),
  )
  try {
    const answer = await Promise.race([asked, after(limit(kept))])
    if (!answer) silentUntil = Date.now() + SILENT_FOR
    // A proxy in front of a stopped server answers for it.
    return answer && !(isGateway(answer) && (kept || !isOurs(answer))) ? answer : null
  } catch {
    return null
  }
}

function limit(kept) {
  if (Date.now() < waitLongerUntil) return LONG_WAIT
  if (Date.now() < silentUntil) return 0
  return kept ? KEPT_PAGE_AFTER : NO_ANSWER_AFTER
}

const isGateway = ({ status }) => [502, 503, 504].includes(status)
const isOurs = ({ headers }) => headers.get("Content-Security-Policy")?.includes("trusted-types lit-html rkv") ?? false

/** The server has answered, perhaps late: wait for the next page again, and cache this one. */
async function heard(pathname, answer) {
  silentUntil = 0
  const cache = await caches.open(CACHE)
  if (pathname === "/signin" && answer.ok) await forgetPage()
  if (!PAGES.includes(pathname)) return
  newest = answer.headers.get(VERSION_HEADER) ?? newest
  await keepPage(cache, answer)
  if (newest !== VERSION) await registration.update()
}

/** Delete the page that was made for a user: also the copy of a newer worker, which may wait for days. */
async function forgetPage() {
  const names = (await caches.keys()).filter((name) => name.startsWith(NAME))
  await Promise.all(names.map(async (name) => (await caches.open(name)).delete(PAGE)))
}

/** Cache the page that belongs to these files. A redirect to the sign-in page means that nobody is signed in. */
async function keepPage(cache, answer) {
  if (answer.type === "opaqueredirect" || answer.redirected) await forgetPage()
  else if (answer.ok && answer.headers.get(VERSION_HEADER) === VERSION) await cache.put(PAGE, answer)
}

// --- files ---

async function file(event, path) {
  const version = (await versionOf(event.clientId)) ?? newest
  const kept = await (await caches.open(NAME + (version === OF_THE_SERVER ? VERSION : version))).match(path)
  if (kept && version !== OF_THE_SERVER) return kept
  try {
    return await fetch(event.request, { signal: AbortSignal.timeout(kept ? NO_ANSWER_AFTER : FILE_WITHIN) })
  } catch (error) {
    if (kept) return kept
    throw error
  }
}

// --- versions of the open pages ---

async function note(id, version) {
  if (!id) return
  try {
    const noted = await caches.open(PAGE_VERSIONS)
    await noted.put(`/${id}`, new Response(version))
    const all = await noted.keys()
    for (const oldest of all.slice(0, Math.max(0, all.length - MOST_NOTED))) await noted.delete(oldest)
  } catch {
    // If the quota is exceeded, the page is assumed to have the version that the server runs.
  }
}

/** Return the version of the page with this client id, or null if unknown. */
async function versionOf(id) {
  const noted = id && (await (await caches.open(PAGE_VERSIONS)).match(`/${id}`))
  return noted ? noted.text() : null
}

// ---

async function match(path) {
  return (await (await caches.open(CACHE)).match(path)) ?? null
}

const after = (milliseconds) => new Promise((done) => setTimeout(() => done(null), milliseconds))
