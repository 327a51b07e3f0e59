// The note about a text while it is typed: whether it is JSON, its kind and size; and the choice between JSON and text.

import { html } from "../../vendor/lit-html/lit-html.js"
import { sizeOf } from "../shared/json-text.js"
import { kindOf } from "../shared/texts.js"

/** @import { Draft } from "./model/draft.js" */

const ALMOST = 0.75 // the share of the limit from which on the size is compared with it

/**
 * Render the note. `limit`: of a value, in bytes, if known. `instead` replaces the note, whatever the text is. The
 * element stays the same: the editor refers to it.
 *
 * @param {Draft} draft
 * @param {number | undefined} limit
 * @param {unknown} instead
 */
export function noteView(draft, limit, instead = null) {
  return html`<p id="editor-note">${instead ?? said(draft, limit)}</p>`
}

function said({ base, text, mode, reading }, limit) {
  if (base === null && text === "") return mode === "text" ? "Any text; or none." : "Any JSON value."
  const { value, problem } = reading
  if (problem) return html`<span class="bad">Line ${problem.line}, column ${problem.column}:</span> ${problem.message}`
  const kind =
    mode === "text"
      ? html`<span class="good">Text</span>`
      : html`<span class="good">Valid JSON</span> · ${kindOf(value)}`
  return html`${kind} · ${size(sizeOf(value), limit)}`
}

function size(bytes, limit) {
  const number = bytes.toLocaleString("en")
  if (!limit || bytes < ALMOST * limit) return `${number} B`
  const of = html`${number} of ${limit.toLocaleString("en")} B`
  return bytes > limit ? html`<span class="bad">${of}: too large</span>` : of
}

/** Render the choice between JSON and text, as two toggle buttons. */
export function modeView({ mode }, choose) {
  const one = (name, title) =>
    html`<button type="button" aria-pressed=${String(mode === name)} @click=${() => choose(name)}>${title}</button>`
  return html`<div class="segments" role="group" aria-label="Write it as">${one("json", "JSON")}${one("text", "Text")}</div>`
}
