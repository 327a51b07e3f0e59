// The input area of the editor: a text box at once, replaced by CodeMirror when that is loaded, unless the user prefers
// a plain one, the text is long, or the pointer is a finger. If CodeMirror cannot be loaded, the text box stays.

import { setting } from "../../lib/settings.js"
import { live } from "../../vendor/lit-html/directives/live.js"
import { repeat } from "../../vendor/lit-html/directives/repeat.js"
import { html } from "../../vendor/lit-html/lit-html.js"
import { LONG } from "../shared/json-text.js"

/**
 * @import { Page } from "../main.js"
 * @import { Draft } from "./model/draft.js"
 */

const kinds = new WeakMap() // draft → "plain" or "code"; a growing text does not change it
/** @type {Promise<unknown> | boolean | null} */
let code = null // the promise that loads CodeMirror; then true, or false when it failed
let composing = false // an input method is active: its box must not be replaced now

/**
 * Render the input area. `typed(text)` is called with every change; `caret`: the initial position, if known.
 * @param {Page} page
 */
export function surfaceView(
  page,
  { draft, label, typed, caret = /** @type {number | null} */ (null), placeholder = "" },
) {
  const { text, reading, mode } = draft
  const problem = text === "" && !draft.base ? undefined : reading.problem
  // an existing value is read from the top; a new text continues at its end
  const what = { text, mode, problem, label, typed, caret: caret ?? (draft.base ? 0 : text.length), placeholder }
  return repeat(
    [draft],
    (draft) => draft,
    () => (isCode(page, draft) ? codeView(what) : boxView(what)),
  )
}

/**
 * Whether the text is in a plain box only because it is long.
 * @param {Draft} draft
 */
export function couldBeCode(draft) {
  return wanted() && code !== false && kinds.get(draft) === "plain"
}

/** @param {Page} page @param {Draft} draft */
export function askForCode(page, draft) {
  kinds.set(draft, "code")
  page.redraw()
}

const wanted = () => setting("plainEditor") === "off" && !matchMedia("(pointer: coarse)").matches

/** @param {Page} page @param {Draft} draft */
function isCode(page, draft) {
  if (!kinds.has(draft)) kinds.set(draft, draft.text.length > LONG ? "plain" : "code")
  if (kinds.get(draft) === "plain" || !wanted()) return false
  if (code === null) load(page)
  return code === true && !composing
}

/** @param {Page} page */
async function load(page) {
  code = import("./code-editor.js")
  try {
    await code
    code = true
  } catch (error) {
    page.failedToLoad(error)
    code = false
  }
  page.redraw()
}

function codeView({ text, mode, problem, label, typed, caret, placeholder }) {
  return html`
    <div class=${`text-box code${problem ? " wrong" : ""}`}>
      <code-editor id="editor" .handover=${handover(caret)} .label=${label} .mode=${mode} .placeholder=${placeholder} .problem=${problem ?? null} .value=${text}
        @typed=${({ target }) => typed(target.value)}></code-editor>
    </div>`
}

/** Return the selection of the box that the editor replaces. */
function handover(caret) {
  const box = document.activeElement
  if (box?.id !== "editor" || !(box instanceof HTMLTextAreaElement)) return { start: caret, end: caret, focus: false }
  return { start: box.selectionStart, end: box.selectionEnd, focus: true }
}

function boxView({ text, problem, label, typed, caret, placeholder }) {
  const count = text.split("\n").length
  return html`
    <div class=${`text-box${problem ? " wrong" : ""}`}>
      <pre class="numbers" aria-hidden="true" .style=${`inline-size:${Math.max(2, String(count).length)}ch`}><span>${numbers(count, problem?.line)}</span></pre>
      <textarea id="editor" class="mono" wrap="off" rows="8" spellcheck="false" autocomplete="off" autocapitalize="none" placeholder=${placeholder} .value=${live(text)}
        aria-label=${label} aria-describedby="editor-note" aria-invalid=${String(Boolean(problem))} @input=${({ target }) => typed(target.value)} @scroll=${followScroll}
        @focus=${(event) => placeCaret(event, caret)} @compositionstart=${() => (composing = true)} @compositionend=${() => (composing = false)}></textarea>
    </div>`
}

function numbers(count, wrong) {
  const from = (first, last) =>
    Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => `${first + i}\n`).join("")
  return wrong
    ? html`${from(1, wrong - 1)}<b class="wrong-line">${wrong}</b>${"\n"}${from(wrong + 1, count)}`
    : from(1, count)
}

const placed = new WeakSet()

function placeCaret({ target }, caret) {
  if (placed.has(target)) return
  placed.add(target)
  target.setSelectionRange(caret, caret)
}

function followScroll({ target }) {
  target.previousElementSibling.firstElementChild.style.transform = `translateY(${-target.scrollTop}px)`
}
