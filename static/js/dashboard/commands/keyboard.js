// The keyboard: which command the keys that are pressed stand for, one after the other where it takes two. Single keys count only
// where nobody is typing, and can be switched off (WCAG 2.1.4).

import { setting } from "../../settings.js"

/** On Apple's machines Cmd does what Ctrl does elsewhere. */
export const APPLE = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "")

const HOLD_FOR = 5_000 // milliseconds: then the field does not come any more
const SECOND_WITHIN = 1_500 // milliseconds from `g` to what follows it

/** Runs the command whose keys are pressed, anywhere on the page. */
export function listen(commands, desk) {
  let first = null // {key, at}: the key that begins a sequence
  let held = null // a Held, while a command leads to a field that is not there yet
  document.addEventListener("focusin", ({ target }) => {
    if (held?.arrive(target)) held = null
  })
  document.addEventListener("keydown", (event) => {
    if (held?.take(event)) return event.preventDefault()
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return
    const pressed = nameOf(event)
    const writing = typing(event.composedPath()[0])
    if (pressed === null || (single(pressed) && (writing || setting("singleKeys") === "off"))) return
    const keys = first && event.timeStamp - first.at < SECOND_WITHIN ? `${first.key} ${pressed}` : pressed
    const begins = commands.some((command) => command.run && command.keys.some((known) => known.startsWith(`${keys} `)))
    first = begins ? { key: keys, at: event.timeStamp } : null
    const command = begins ? null : commandFor(keys, commands)
    if (!command || (writing && command.outside && !unwritten(event.composedPath()[0]))) return
    event.preventDefault()
    held = command.leads ? new Held(command.leads, event.timeStamp) : null
    perform(command, desk)
  })
}

/** What is typed on the way to a field that is still being loaded: it is for the field, and no command. */
class Held {
  #id
  #until
  #text = ""

  constructor(id, now) {
    this.#id = id
    this.#until = now + HOLD_FOR
  }

  /** Whether this key press is kept for the field. */
  take(event) {
    const { key, timeStamp, ctrlKey, metaKey, altKey } = event
    if (key === "Escape") this.#until = 0
    if (timeStamp > this.#until || ctrlKey || metaKey || altKey || typing(event.composedPath()[0])) return false
    if (key === "Backspace") this.#text = this.#text.slice(0, -1)
    else if (key.length === 1) this.#text += key
    else return false
    return true
  }

  /** Whether this is the field; then it is given what was typed. */
  arrive(field) {
    if (field.id !== this.#id) return false
    if (this.#text === "") return true
    field.setRangeText(this.#text, field.value.length, field.value.length, "end")
    field.dispatchEvent(new Event("input", { bubbles: true }))
    return true
  }
}

/** Does what the command says, if it can be done now. */
export function perform(command, desk) {
  if (command.when && !command.when(desk)) return
  command.run(desk)
  // The next letter may be for the field that this one leads to.
  desk.page.draw()
}

export function commandFor(keys, commands) {
  return commands.find((command) => command.run && !command.elsewhere && command.keys.includes(keys)) ?? null
}

/** The key as the registry names it, such as "n", "Shift+D", "Ctrl+K", "?" or "Escape"; null for what is none of ours. */
export function nameOf(event, apple = APPLE) {
  const graph = event.getModifierState?.("AltGraph") ?? false // how some keyboards write [ and ]
  if (event.altKey && !graph) return null
  const key = latin(event)
  const letter = /^[a-z]$/i.test(key)
  const shift = event.shiftKey && (letter || key.length > 1) ? "Shift+" : ""
  if ((event.ctrlKey || event.metaKey) && !graph) {
    if (apple ? event.ctrlKey : event.metaKey) return null
    return `Ctrl+${shift}${key.length === 1 ? key.toUpperCase() : key}`
  }
  return shift + (letter ? (shift ? key.toUpperCase() : key.toLowerCase()) : key === " " ? "Space" : key)
}

/** On a keyboard of another script the letter that stands at the same place. */
function latin({ key, code }) {
  return key.length === 1 && key > "\x7f" && /^Key[A-Z]$/.test(code ?? "") ? code.at(-1).toLowerCase() : key
}

const single = (keys) => !keys.startsWith("Ctrl+")

function typing(element) {
  // the field of a dialog that has just been closed keeps the focus until the next frame
  if (element.checkVisibility?.() === false) return false
  return element.matches?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], [contenteditable] *") ?? false
}

/** A filter that is empty: the focus is there when no row is left, and it has nothing of its own to undo. */
function unwritten(element) {
  return element.matches?.("input[type=search]") && element.value === ""
}
