// The service worker: opens the dashboard from this browser when the server does not answer, and shows a page of its own instead of
// those that need the server. The server puts FILES and VERSION in front of it, so it is another worker whenever a file has changed.
//
// Rules:
// 1. Every request to the network has a time limit. A network that swallows everything is answered from the cache within seconds.
// 2. A page runs with the files of its own version: from the cache of that version, or from a server that runs it.
// 3. A worker takes over when the one before it is answering nothing: what that one has begun would never be answered.
// 4. Nothing of the API is kept, and a page that was made for a user is deleted when the server no longer knows the browser as theirs.

/* global FILES, VERSION */

const NAME = "realtime_kv "
const CACHE = NAME + VERSION
const PAGE_VERSIONS = `${NAME}pages` // which version the open pages are of: /<client id> → version
const OF_THE_SERVER = "server" // a page that is not kept: its files come from the server, if that answers
const MOST_NOTED = 200 // open pages
const VERSION_HEADER = "RKV-Files"
const PAGE = "/keys" // one page, whatever it shows
const PAGES = [PAGE, "/activity", "/trash"]
const NEEDS_SERVER = "/needs-server"

const KEPT_PAGE_AFTER = 1_500 // milliseconds without an answer until the page that is kept is shown
const NO_ANSWER_AFTER = 2_500 // the same for pages that are not kept
const SILENT_FOR = 5_000 // after a request without an answer nobody waits for another one
const PATIENT_FOR = 10_000 // within this time after the page has asked for patience, the next page may take its time
const PATIENCE = 60_000
const FILE_WITHIN = 30_000
const INSTALL_WITHIN = 60_000
const IDLE_WITHIN = 10_000 // then the worker before is taken to be one that does not say
const IDLE_FOR = 250 // a page is followed by its files
const ASK_IDLE = "idle?"

let newest = VERSION // which version the server runs, as far as this worker has heard
let silentUntil = 0
let patientUntil = 0
let working = 0 // requests that are being answered, and answers that are being kept
let idleTimer = 0
const sayIdle = [] // to be called when there are none

addEventListener("install", (event) => {
  event.waitUntil(fill().then(idleBefore).then(() => skipWaiting()))
})

addEventListener("activate", (event) => {
  event.waitUntil(takeOver())
})

addEventListener("message", (event) => {
  const { data, ports } = event
  if (data === "patient") patientUntil = Date.now() + PATIENT_FOR
  if (data === ASK_IDLE) event.waitUntil(new Promise((idle) => sayIdle.push(idle)).then(() => ports[0].postMessage("idle")))
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
  work(event, event.handled ?? promise) // where that is not known yet
}

/** Keeps the worker alive until `promise` is settled. */
function work(event, promise) {
  working += 1
  const done = promise.catch(() => {}).then(() => {
    working -= 1
    settle()
  })
  event.waitUntil(done)
}

function settle() {
  clearTimeout(idleTimer)
  if (working === 0 && sayIdle.length > 0) idleTimer = setTimeout(() => sayIdle.splice(0).forEach((say) => say()), IDLE_FOR)
}

/** Resolves when the worker before this one is answering nothing. */
async function idleBefore() {
  if (!registration.active) return
  const { port1, port2 } = new MessageChannel()
  const idle = new Promise((done) => (port1.onmessage = done))
  registration.active.postMessage(ASK_IDLE, [port2])
  await Promise.race([idle, after(IDLE_WITHIN)])
}

/** What takes its time, and is no page. */
const isDownload = (pathname) => pathname.startsWith("/api/") || /\.\w+$/.test(pathname)

async function fill() {
  const cache = await caches.open(CACHE)
  const soon = () => AbortSignal.timeout(INSTALL_WITHIN)
  const files = [...FILES, NEEDS_SERVER].map((path) => new Request(path, { signal: soon() }))
  // The page comes along, so that the very first visit can be opened again without a network.
  const first = await fetch(PAGE, { redirect: "manual", signal: soon() })
  await Promise.all([cache.addAll(files), keepPage(cache, first)])
}

/** Caches of earlier versions stay as long as pages of that version are open: they may still load a part of themselves. */
async function takeOver() {
  const open = new Map()
  for (const { id } of await clients.matchAll({ type: "window", includeUncontrolled: true })) open.set(id, await versionOf(id))
  const names = (await caches.keys()).filter((name) => name.startsWith(NAME) && name !== CACHE && name !== PAGE_VERSIONS)
  await caches.delete(PAGE_VERSIONS)
  for (const [id, version] of open) {
    // pages that were open before the first worker are of its version
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

/** The server's answer, or null if there is none in time; what it says is noted also when it comes late. */
async function fromServer(event, pathname, kept) {
  const asked = fetch(event.request)
  work(event, asked.then((answer) => heard(pathname, PAGES.includes(pathname) ? answer.clone() : answer)))
  try {
    const answer = await Promise.race([asked, after(limit(kept))])
    if (!answer) silentUntil = Date.now() + SILENT_FOR
    // A proxy in front of a server that is gone answers for it.
    return answer && !(isGateway(answer) && (kept || !isOurs(answer))) ? answer : null
  } catch {
    return null
  }
}

function limit(kept) {
  if (Date.now() < patientUntil) return PATIENCE
  if (Date.now() < silentUntil) return 0
  return kept ? KEPT_PAGE_AFTER : NO_ANSWER_AFTER
}

const isGateway = ({ status }) => [502, 503, 504].includes(status)
const isOurs = ({ headers }) => headers.get("Content-Security-Policy")?.includes("trusted-types lit-html rkv") ?? false

/** The server has answered, be it late: the next page is waited for again. */
async function heard(pathname, answer) {
  silentUntil = 0
  const cache = await caches.open(CACHE)
  if (pathname === "/signin" && answer.ok) await cache.delete(PAGE)
  if (!PAGES.includes(pathname)) return
  newest = answer.headers.get(VERSION_HEADER) ?? newest
  await keepPage(cache, answer)
  if (newest !== VERSION) await registration.update()
}

/** Keeps the page that goes with these files. A redirect to the sign-in page says that nobody is signed in. */
async function keepPage(cache, answer) {
  if (answer.type === "opaqueredirect" || answer.redirected) await cache.delete(PAGE)
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

// --- which version a page is of ---

async function note(id, version) {
  if (!id) return
  try {
    const noted = await caches.open(PAGE_VERSIONS)
    await noted.put(`/${id}`, new Response(version))
    const all = await noted.keys()
    for (const oldest of all.slice(0, Math.max(0, all.length - MOST_NOTED))) await noted.delete(oldest)
  } catch {
    // without room the page is taken to be of the version that the server runs
  }
}

/** The version of the page with this client id, or null if that is not known. */
async function versionOf(id) {
  const noted = id && (await (await caches.open(PAGE_VERSIONS)).match(`/${id}`))
  return noted ? noted.text() : null
}

// ---

async function match(path) {
  return (await (await caches.open(CACHE)).match(path)) ?? null
}

const after = (milliseconds) => new Promise((done) => setTimeout(() => done(null), milliseconds))
