// Loads the style sheets of lazily loaded modules, so that a first visit does not wait for them.

const asked = new Map()

/**
 * Resolve once the sheet under this path is applied or has failed to load; without it the page looks plainer.
 * @param {string} path
 */
export function stylesheet(path) {
  if (!asked.has(path)) asked.set(path, load(path))
  return asked.get(path)
}

/** @param {string} href */
function load(href) {
  // the server may have linked it in the page already
  if (document.querySelector(`link[rel="stylesheet"][href="${href}"]`)) return
  return new Promise((resolve) => {
    const link = Object.assign(document.createElement("link"), {
      rel: "stylesheet",
      href,
      onload: resolve,
      onerror: resolve,
    })
    document.head.append(link)
  })
}
