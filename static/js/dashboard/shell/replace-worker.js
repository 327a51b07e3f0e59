// Replaces the service worker before the page is reloaded for a new version. No DOM.

const WITHIN = 3_000 // milliseconds

/** Let the service worker of the new version take over, if it is installed and this page is the only one. */
export async function replaceWorker() {
  const waiting = (await navigator.serviceWorker?.getRegistration())?.waiting
  if (!waiting) return
  const { port1, port2 } = new MessageChannel()
  await new Promise((done) => {
    port1.onmessage = done
    navigator.serviceWorker.addEventListener("controllerchange", done, { once: true })
    setTimeout(done, WITHIN)
    waiting.postMessage("take over", [port2])
  })
}
