// Shortcut hints: every element with `data-command` gets its tooltip and `aria-keyshortcuts` from the registry, and a
// <kbd> gets the printed name of the keys. Runs after a draw, since the views know nothing of commands.

import { onSetting, setting } from "../../lib/settings.js"
import { APPLE } from "./keyboard.js"
import { aria, printed } from "./printed.js"

/** @import { Command } from "./registry.js" */

let told = new WeakSet()
onSetting(() => (told = new WeakSet()))

/** @param {Command[]} commands */
export function hint(commands) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-command]"))) {
    if (told.has(element)) continue
    told.add(element)
    const command = commands.find(({ name }) => name === element.dataset.command)
    if (command) tell(element, command)
  }
}

/** @param {HTMLElement} element @param {Command} command */
function tell(element, { keys, title }) {
  const working = keys.filter((key) => key.startsWith("Ctrl+") || setting("singleKeys") === "on")
  if (element.localName === "kbd") {
    element.hidden = working.length === 0
    if (APPLE) element.textContent = printed(keys[0]).join(" ")
    return
  }
  const shown = working.slice(0, 1).map((key) => ` (${printed(key).join(" then ")})`)
  element.title = title + shown.join("")
  const said = working
    .map((key) => aria(key))
    .filter(Boolean)
    .join(" ")
  if (said) element.setAttribute("aria-keyshortcuts", said)
  else element.removeAttribute("aria-keyshortcuts")
}
