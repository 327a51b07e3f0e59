// Maps key presses to commands, including sequences of two. Single keys apply only outside of text fields, and can be
// switched off (WCAG 2.1.4).

import { setting } from "../../lib/settings.js"

/**
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Command } from "./registry.js"
 */

/** Whether this is an Apple machine, where Cmd replaces Ctrl. */
export const APPLE = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "")

const HOLD_FOR = 5_000 // milliseconds, after which the field is no longer expected
const SECOND_WITHIN = 1_500 // milliseconds from g to the key that follows it

/**
 * Run the command for the pressed keys, anywhere on the page.
 * @param {Command[]} commands
 * @param {DashboardModel} model
 */
export function listen(commands, model) {
  /** @type {{ key: string, at: number } | null} */
  let first = null // {key, at}: the key that begins a sequence
  /** @type {Held | null} */
  let held = null // a Held, while the field that a command leads to does not exist yet
  document.addEventListener("focusin", ({ target }) => {
    if (held?.arrive(/** @type {HTMLInputElement} */ (target))) held = null
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
    perform(command, model)
  })
}

/** Buffers keys typed on the way to a field that is still being loaded: they belong to the field and run no command. */
class Held {
  #id
  #until
  #text = ""

  /** @param {string} id @param {number} now */
  constructor(id, now) {
    this.#id = id
    this.#until = now + HOLD_FOR
  }

  /**
   * Whether this key press is kept for the field.
   * @param {KeyboardEvent} event
   */
  take(event) {
    const { key, timeStamp, ctrlKey, metaKey, altKey } = event
    if (key === "Escape") this.#until = 0
    if (timeStamp > this.#until || ctrlKey || metaKey || altKey || typing(event.composedPath()[0])) return false
    if (key === "Backspace") this.#text = this.#text.slice(0, -1)
    else if (key.length === 1) this.#text += key
    else return false
    return true
  }

  /**
   * Whether this is the field; if so, insert the buffered text.
   * @param {HTMLInputElement} field
   */
  arrive(field) {
    if (field.id !== this.#id) return false
    if (this.#text === "") return true
    field.setRangeText(this.#text, field.value.length, field.value.length, "end")
    field.dispatchEvent(new Event("input", { bubbles: true }))
    return true
  }
}

/**
 * Run the command, if it is available now.
 * @param {Command} command
 * @param {DashboardModel} model
 */
export function perform(command, model) {
  if (command.when && !command.when(model)) return
  command.run?.(model)
  // Draw at once: the next letter may be for the field that the command leads to.
  model.page.draw()
}

/** @param {string} keys @param {Command[]} commands */
export function commandFor(keys, commands) {
  return commands.find((command) => command.run && !command.elsewhere && command.keys.includes(keys)) ?? null
}

/**
 * Return the key as the registry names it, such as "n", "Shift+D", "Ctrl+K", "?" or "Escape"; null for other keys.
 * @param {Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey"> & { getModifierState?(name: string): boolean }} event
 */
export function nameOf(event, apple = APPLE) {
  const graph = event.getModifierState?.("AltGraph") ?? false // some keyboards need it for [ and ]
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

/**
 * Return the Latin letter at the same place on a keyboard of another script.
 * @param {{ key: string, code?: string }} event
 */
function latin({ key, code = "" }) {
  return key.length === 1 && key > "\x7f" && /^Key[A-Z]$/.test(code) ? code[3].toLowerCase() : key
}

const single = (/** @type {string} */ keys) => !keys.startsWith("Ctrl+")

/** @param {any} element */
function typing(element) {
  // the field of a dialog that was just closed keeps the focus until the next frame
  if (element.checkVisibility?.() === false) return false
  return (
    element.matches?.(
      "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], [contenteditable] *",
    ) ?? false
  )
}

/**
 * Whether this is an empty filter: it has the focus if no row is left, and has nothing of its own to undo.
 * @param {any} element
 */
function unwritten(element) {
  return element.matches?.("input[type=search]") && element.value === ""
}
