// The keyboard. Single letters count only where nobody is typing, and can be switched off (WCAG 2.1.4).

import { setting } from "../../settings.js"

/** Runs the command whose keys are pressed, anywhere on the page. */
export function listen(commands, desk) {
  document.addEventListener("keydown", (event) => {
    const command = commandFor(event, commands)
    if (!command || document.querySelector("dialog[open]")) return
    event.preventDefault()
    if (command.when?.(desk) === false) return
    command.run(desk)
    desk.redraw()
  })
}

function commandFor(event, commands) {
  if (event.defaultPrevented || event.isComposing) return null
  const pressed = nameOf(event)
  return (pressed && commands.find(({ keys, run }) => run && keys.includes(pressed))) || null
}

function nameOf(event) {
  if (event.altKey) return null
  if (event.ctrlKey || event.metaKey) return event.shiftKey ? null : `Ctrl+${event.key.length === 1 ? event.key.toUpperCase() : event.key}`
  return typing(event.target) || setting("singleKeys") === "off" ? null : event.key
}

function typing(element) {
  return element.matches?.("input, textarea, select, [contenteditable]") ?? false
}
