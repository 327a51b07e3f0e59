// Access to the clipboard.

/**
 * Copy `text`, also if the browser allows clipboard access to secure pages only. Resolves to whether it worked.
 * @param {string} text
 */
export async function copy(text) {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text)
      return true
    }
  } catch {
    // not allowed: try the old way
  }
  const area = document.createElement("textarea")
  area.value = text
  area.className = "vh"
  const before = /** @type {HTMLElement | null} */ (document.activeElement)
  // While a dialog is open, nothing outside it can have the focus.
  ;(document.querySelector("dialog[open]") ?? document.body).append(area)
  area.select()
  const copied = document.execCommand("copy")
  area.remove()
  before?.focus()
  return copied
}
