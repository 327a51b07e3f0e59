// The names of keys for people and for screen readers.

import { APPLE } from "./keyboard.js"

const SIGNS = { Ctrl: "⌘", Shift: "⇧" }
const NAMES = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
  PageUp: "PgUp",
  PageDown: "PgDn",
}

/**
 * Return the keys as printed: "Ctrl S" or "⌘S"; those of a sequence one after the other: ["g", "k"].
 * @param {string} keys
 */
export function printed(keys, apple = APPLE) {
  const one = (key) => {
    const parts = key.split("+").map((part) => (apple && SIGNS[part]) || NAMES[part] || part)
    return parts.join(apple ? "" : " ")
  }
  return keys.split(" ").map(one)
}

/**
 * Return the keys in the format of `aria-keyshortcuts`; null for a sequence, which it cannot express.
 * @param {string} keys
 */
export function aria(keys, apple = APPLE) {
  return keys.includes(" ") ? null : keys.replace("Ctrl", apple ? "Meta" : "Control")
}
