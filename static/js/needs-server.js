// The page that the service worker shows instead of one that needs the server: asks for the server until it answers, and then loads the
// page that was wanted.

const ASK_EVERY = 3_000
const ANSWER_WITHIN = 20_000
const RELOAD_EVERY = 30_000 // a server may answer this and not the page
const RELOADED = "reloaded by itself" // when, in this tab

const at = (id) => document.getElementById(id)
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))

async function answers() {
  try {
    return (await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN) })).ok
  } catch {
    return false
  }
}

/** Loads the page that was wanted, which may take its time now. */
function load() {
  navigator.serviceWorker?.controller?.postMessage("patient")
  location.reload()
}

async function tryAgain() {
  at("attempt").textContent = "Asking the server…"
  if (await answers()) return load()
  at("attempt").textContent = "The server still does not answer."
  return undefined
}

async function watch() {
  for (;;) {
    if ((await answers()) && Date.now() - Number(sessionStorage.getItem(RELOADED)) > RELOAD_EVERY) {
      sessionStorage.setItem(RELOADED, Date.now())
      return load()
    }
    await pause(ASK_EVERY)
  }
}

/** The keys can be opened without the server if this browser keeps them. */
async function offerKeys() {
  at("keys").hidden = !(await globalThis.caches?.match("/keys").catch(() => null))
}

at("again").addEventListener("click", tryAgain)
offerKeys()
watch()
