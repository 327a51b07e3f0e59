// The names of keys, as people read them and as screen readers take them.

import { APPLE } from "./keyboard.js"

const SIGNS = { Ctrl: "⌘", Shift: "⇧" }
const NAMES = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", PageUp: "PgUp", PageDown: "PgDn" }

/** The keys as they are printed: "Ctrl S" or "⌘S"; of a sequence one after the other: ["g", "k"]. */
export function printed(keys, apple = APPLE) {
  const one = (key) => {
    const parts = key.split("+").map((part) => (apple && SIGNS[part]) || NAMES[part] || part)
    return parts.join(apple ? "" : " ")
  }
  return keys.split(" ").map(one)
}

/** The keys as `aria-keyshortcuts` wants them; null for a sequence, which it cannot say. */
export function aria(keys, apple = APPLE) {
  return keys.includes(" ") ? null : keys.replace("Ctrl", apple ? "Meta" : "Control")
}
