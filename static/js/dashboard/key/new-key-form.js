// The new key form: name, kind of value, and value.

import { live } from "../../vendor/lit-html/directives/live.js"
import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { submitted } from "./editor.js"
import { surfaceView } from "./editor-input.js"
import { expiresView } from "./expiry-field.js"
import { backButton } from "./key-header.js"
import { KINDS } from "./model/new-key.js"
import { noteView } from "./validation-hint.js"

/**
 * @import { Client } from "../../client/client.js"
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Page } from "../main.js"
 * @import { NewKey } from "./model/new-key.js"
 * @import { OpenKey } from "./model/open-key.js"
 */

const TITLES = { json: "JSON", text: "Text", number: "Number", boolean: "true / false" }

/** @param {DashboardModel} model */
export function freshView(model) {
  const { kv, opened, page } = model
  const fresh = /** @type {NewKey} */ (opened.fresh)
  const change = (fn) => {
    fn(fresh)
    page.redraw()
  }
  return html`
    ${backButton(opened)}
    <div class="detail-head"><h2 tabindex="-1" id="detail-heading">New key</h2></div>
    <form class="editor-form" novalidate @submit=${submitted(opened)}>
      ${keyField(kv, opened, change)}
      <div class="field">
        <label for="editor">Value</label>
        ${valueField(page, fresh, change)}
      </div>
      <div class="foot">
        ${noteView(fresh.draft, page.limits?.value, fresh.kind === "number" ? aboutNumber(fresh) : null)}
        <div class="segments" role="radiogroup" aria-label="Kind of value">
          ${KINDS.map(
            (kind) =>
              html`<label><input type="radio" name="kind" value=${kind} .checked=${fresh.kind === kind} @change=${() => change(() => fresh.become(kind))}><span>${TITLES[kind]}</span></label>`,
          )}
        </div>
      </div>
      <div class="foot">
        ${expiresView(
          fresh.draft,
          () => model.now(),
          (expires) => change(({ draft }) => (draft.expires = expires)),
        )}
        <div class="row-of-buttons">
          <button type="button" @click=${() => opened.cancel()}>Cancel</button>
          <button type="submit" class="primary" data-command="save">Create <kbd aria-hidden="true" data-command="save">Ctrl S</kbd></button>
        </div>
      </div>
    </form>`
}

/** @param {Client} kv @param {OpenKey} opened */
function keyField(kv, opened, change) {
  const fresh = /** @type {NewKey} */ (opened.fresh)
  const taken = kv.entry(fresh.key) !== undefined || opened.hasDraft(fresh.key)
  const open = html`<button type="button" class="link" @click=${() => opened.openKey(fresh.key)}>Open it</button>`
  return html`
    <div class="field">
      <label for="new-key">Key</label>
      <input id="new-key" class="mono" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="app/feature-flags" .value=${live(fresh.key)}
        aria-describedby="new-key-note" aria-invalid=${String(Boolean(fresh.problem))} @input=${({ target }) => change(() => fresh.rename(target.value))}>
      <p class="hint" id="new-key-note">
        ${
          fresh.problem
            ? html`<span class="bad">${fresh.problem}</span> ${taken ? open : nothing}`
            : taken
              ? html`This key exists. ${open}`
              : "Up to 512 bytes. A slash makes a folder."
        }
      </p>
    </div>`
}

function aboutNumber(fresh) {
  if (fresh.draft.text === "") return "Any number."
  return fresh.fits || fresh.draft.reading.problem ? null : html`<span class="bad">This is not a number.</span>`
}

const LABELS = { text: "Value, text", number: "Value, a number", json: "Value, JSON" }
const EXAMPLES = { text: "", json: '"text", 42, true, null, [ ], { }' }

/** @param {Page} page */
function valueField(page, { draft, kind }, change) {
  const typed = (text) => change(() => draft.type(text))
  if (kind === "number")
    return html`<input id="editor" class="mono" inputmode="decimal" autocomplete="off" aria-label=${LABELS.number} aria-describedby="editor-note" .value=${live(draft.text)}
      aria-invalid=${String(draft.text !== "" && Boolean(draft.reading.problem))} @input=${({ target }) => typed(target.value)}>`
  if (kind === "boolean")
    return html`
      <div class="segments words" role="radiogroup" aria-label="Value, true or false" id="editor" tabindex="-1">
        ${["true", "false"].map((word) => html`<label><input type="radio" name="word" .checked=${draft.text === word} @change=${() => typed(word)}><span>${word}</span></label>`)}
      </div>`
  return surfaceView(page, { draft, label: LABELS[kind], typed, placeholder: EXAMPLES[kind] })
}
