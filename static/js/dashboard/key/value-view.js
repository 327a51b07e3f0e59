// The value of an open key in read mode: formatted and coloured, or plain if it is long. One step switches to the
// editor.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { diffLines } from "../shared/diff.js"
import { formatJson, isPlain, LONG, sizeOf } from "../shared/json-text.js"
import { kindOf } from "../shared/texts.js"
import { linesOf } from "./line-numbers.js"

/**
 * @import { Page } from "../main.js"
 * @import { Showing, Opened } from "./model/open-key.js"
 */

/** @param {Showing} opened @param {Page} page */
export function valueView(opened, page) {
  const { open } = opened
  const { key, draft } = open
  const value = draft.base?.value
  const shown = shownOf(open)
  return html`
    <div class="value" id="value" role="group" tabindex="0" aria-label=${`Value of ${key}, ${kindOf(value)}`}
      @dblclick=${(event) => opened.edit({ caret: caretAt(event) })} @keydown=${(event) => entered(event, opened)}>${shown.element}</div>
    <div class="foot">
      <p id="value-note">${shown.note}</p>
      <div class="row-of-buttons">
        ${isPlain(value) ? waysToShow(page, open) : nothing}
        ${shown.plain ? html`<button type="button" data-command="format" @click=${() => opened.format()}>Format</button>` : nothing}
        ${open.readOnly ? nothing : html`<button type="button" class="primary" id="edit" data-command="edit" @click=${() => opened.edit()}>Edit <kbd aria-hidden="true" data-command="edit">e</kbd></button>`}
      </div>
    </div>
    ${open.readOnly ? html`<p class="hint">It can only be read: ${open.refusal?.message ?? "this session may not write here."}</p>` : nothing}`
}

/** @param {Page} page @param {Opened} open */
function waysToShow(page, open) {
  const choose = (asJson) => () => {
    open.asJson = asJson
    page.redraw()
  }
  return html`
    <div class="segments" role="group" aria-label="Show as">
      <button type="button" aria-pressed=${String(!open.asJson)} @click=${choose(false)}>Text</button>
      <button type="button" aria-pressed=${String(Boolean(open.asJson))} @click=${choose(true)}>JSON</button>
    </div>`
}

/** @type {any} */
let last = null // the value that is shown: {open, value, formatted, asJson, text, element, note, plain}

/** @param {Opened} open */
function shownOf(open) {
  const { formatted = false, asJson = false } = open
  const value = open.draft.base?.value
  if (last?.open === open && last.value === value && last.formatted === formatted && last.asJson === asJson) return last
  last = { open, value, formatted, asJson, ...made(value, formatted, asJson, changedSince(open)) }
  return last
}

/**
 * Return a function from the new text to the numbers of the lines that changed while the user was reading.
 * @param {Opened} open
 */
function changedSince(open) {
  const before = last?.open === open && !last.plain ? last.text : null
  return (text) =>
    before === null
      ? new Set()
      : new Set(
          diffLines(before, text)
            .filter(({ op }) => op === "new")
            .map(({ to }) => to),
        )
}

function made(value, formatted, asJson, changed) {
  const asText = isPlain(value) && !asJson
  const whole = asText ? value : JSON.stringify(value)
  const plain = whole.length > LONG && !formatted
  const note = noteOn(value, whole)
  if (plain)
    return {
      plain,
      note,
      text: whole,
      element: Object.assign(document.createElement("pre"), { className: "plain-value", textContent: whole }),
    }
  const text = asText ? value : formatJson(value)
  return { plain, note, text, element: linesOf(text, { json: !asText, changed: changed(text) }) }
}

function noteOn(value, whole) {
  const n = Array.isArray(value) ? value.length : typeof value === "object" && value ? Object.keys(value).length : null
  const size = typeof value === "string" ? sizeOf(value) : new TextEncoder().encode(whole).length
  const lines = typeof value === "string" ? value.split("\n").length : 1
  return [
    kindOf(value),
    ...(n === null ? [] : [counted(n, Array.isArray(value) ? "item" : "member")]),
    ...(lines > 1 ? [counted(lines, "line")] : []),
    `${size.toLocaleString("en")} B`,
  ].join(" · ")
}

const counted = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`

/** @param {Showing} opened */
function entered(event, opened) {
  if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.altKey) return
  event.preventDefault()
  opened.edit()
}

/** Return the position of the pointer in the text. */
function caretAt({ clientX, clientY, currentTarget }) {
  const place = document.caretPositionFromPoint?.(clientX, clientY)
  if (!place || !currentTarget.contains(place.offsetNode)) return null
  const range = document.createRange()
  range.setStart(currentTarget, 0)
  range.setEnd(place.offsetNode, place.offset)
  return range.toString().length
}
