// The page that the service worker shows instead of one that needs the server: polls the server until it answers, then
// loads the requested page.

const ASK_EVERY = 3_000
const ANSWER_WITHIN = 20_000
const RELOAD_EVERY = 30_000 // a server may answer the poll but not the page
const RELOADED = "reloaded by itself" // key of the time of this tab's last automatic reload

const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const pause = (/** @type {number} */ milliseconds) => new Promise((done) => setTimeout(done, milliseconds))

async function answers() {
  try {
    return (await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN) })).ok
  } catch {
    return false
  }
}

/** Load the requested page, with a longer time limit. */
function load() {
  navigator.serviceWorker?.controller?.postMessage("wait longer")
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
      sessionStorage.setItem(RELOADED, String(Date.now()))
      return load()
    }
    await pause(ASK_EVERY)
  }
}

/** Offer the keys if this browser has stored their page: it opens without the server. */
async function offerKeys() {
  at("keys").hidden = !(await globalThis.caches?.match("/keys").catch(() => null))
}

at("again").addEventListener("click", tryAgain)
offerKeys()
watch()
