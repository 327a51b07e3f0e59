// Styles that come with a module that is loaded late, so that a first visit does not wait for them.

const asked = new Map()

/** Resolves once the sheet under this path counts, or could not be had: then the page is plainer. */
export function stylesheet(path) {
  if (!asked.has(path)) asked.set(path, load(path))
  return asked.get(path)
}

function load(href) {
  // the page may have been made with it
  if (document.querySelector(`link[rel="stylesheet"][href="${href}"]`)) return
  return new Promise((resolve) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: resolve, onerror: resolve })
    document.head.append(link)
  })
}
