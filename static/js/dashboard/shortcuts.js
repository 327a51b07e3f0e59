// The keyboard, in one place. Single letters count only where nobody is typing, and can be switched off (WCAG 2.1.4).

const STORED = "single-key shortcuts"

export const SHORTCUTS = [
  { keys: "/", does: "Go to the filter", name: "filter" },
  { keys: "n", does: "New key", name: "new" },
  { keys: "e", does: "Edit the open key", name: "edit" },
  { keys: "?", does: "Show these shortcuts", name: "help" },
  { keys: "Ctrl+S or Ctrl+Enter", does: "Save", always: true },
  { keys: "Esc", does: "Back to the list, or close", always: true },
  { keys: "↑ ↓ Home End", does: "Move in the list", always: true },
  { keys: "Enter", does: "Open the key", always: true },
  { keys: "Delete", does: "Delete the key", always: true },
]

/** Calls `run(name)` for what is pressed anywhere on the page. */
export function listen(run) {
  document.addEventListener("keydown", (event) => {
    const name = nameOf(event)
    if (!name || document.querySelector("dialog[open]")) return
    event.preventDefault()
    run(name)
  })
}

export function singleKeysAreOn() {
  try {
    return localStorage.getItem(STORED) !== "off"
  } catch {
    return true
  }
}

export function switchSingleKeys(on) {
  try {
    localStorage.setItem(STORED, on ? "on" : "off")
  } catch {
    // storage may be forbidden; then they stay on
  }
}

function nameOf(event) {
  if (event.defaultPrevented || event.isComposing) return null
  if (event.ctrlKey || event.metaKey) {
    if (event.altKey || event.shiftKey) return null
    return event.key === "s" || event.key === "Enter" ? "save" : null
  }
  if (event.altKey || typing(event.target) || !singleKeysAreOn()) return null
  return SHORTCUTS.find(({ keys, always }) => !always && keys === event.key)?.name ?? null
}

function typing(element) {
  return element.matches?.("input, textarea, select, [contenteditable]") ?? false
}
