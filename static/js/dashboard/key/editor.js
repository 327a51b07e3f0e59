// The editor of an open key: the text, a note about it, its expiry, and the actions.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { askForCode, couldBeCode, surfaceView } from "./editor-input.js"
import { expiresView } from "./expiry-field.js"
import { modeView, noteView } from "./validation-hint.js"

/**
 * @import { Client } from "../../client/client.js"
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Draft } from "./model/draft.js"
 * @import { OpenKey, Opened } from "./model/open-key.js"
 */

/** @param {DashboardModel} model @param {Opened} open */
export function editorView(model, open) {
  const { kv, opened, page } = model
  const { key, draft } = open
  const empty = draft.base === null && draft.text === "" && draft.mode === "json"
  const { problem } = draft.reading
  const label = `Value of ${key}, ${draft.mode === "text" ? "text" : "JSON"}`
  const queued = draft.saving !== null && kv.state === "offline"
  const instead = draft.mustChoose
    ? "Choose a version above before you save."
    : queued
      ? "It is sent as soon as the connection is back."
      : null
  return html`
    <form class="editor-form" novalidate @submit=${submitted(opened)}>
      ${surfaceView(page, { draft, label, caret: open.caret ?? null, typed: (text) => opened.type(text) })}
      <div class="foot">
        ${noteView(draft, page.limits?.value, instead)}
        ${modeView(draft, (mode) => opened.setMode(mode))}
      </div>
      <div class="foot">
        ${expiresView(
          draft,
          () => model.now(),
          (expires) => opened.setExpires(expires),
        )}
        <div class="row-of-buttons">
          ${couldBeCode(draft) ? html`<button type="button" @click=${() => askForCode(page, draft)}>In colours</button>` : nothing}
          ${problem && !empty && draft.mode === "json" ? html`<button type="button" @click=${() => opened.saveAsText()}>Save as text</button>` : nothing}
          ${problem || draft.mode === "text" ? nothing : html`<button type="button" data-command="format" @click=${() => opened.format()}>Format</button>`}
          ${draft.unsaved ? html`<button type="button" @click=${() => opened.discard()}>Discard</button>` : draft.base ? html`<button type="button" @click=${() => opened.read()}>Done</button>` : nothing}
          <button type="submit" class="primary" data-command="save" aria-disabled=${String(!draft.unsaved || draft.mustChoose)} aria-describedby=${draft.mustChoose ? "editor-note" : nothing}>
            ${saveLabel(kv, draft)} <kbd aria-hidden="true" data-command="save">Ctrl S</kbd>
          </button>
        </div>
      </div>
      ${refusalView(opened, open)}
    </form>`
}

/** @param {OpenKey} opened */
export function submitted(opened) {
  return (event) => {
    event.preventDefault()
    opened.save()
  }
}

/** @param {Client} kv @param {Draft} draft */
function saveLabel(kv, draft) {
  if (draft.saving !== null) return kv.state === "offline" ? "Queued" : "Saving…"
  return draft.base === null ? "Create" : "Save"
}

/**
 * Render the server's error for a save; the text is kept and can be sent again.
 * @param {OpenKey} opened
 * @param {Opened} open
 */
function refusalView(opened, { refusal, retryAt = 0, readOnly = false }) {
  if (!refusal) return nothing
  const wait = Math.ceil((retryAt - Date.now()) / 1_000)
  const retry = html`<button type="button" aria-disabled=${String(wait > 0)} @click=${() => wait > 0 || opened.save()}>${wait > 0 ? `Retry in ${wait} s` : "Retry"}</button>`
  return html`
    <div class="problem refusal" id="refusal">
      <p>${refusal.message}${refusal.request_id ? html` <span class="dim">Request</span> <span class="mono">${refusal.request_id}</span>` : nothing}</p>
      ${readOnly ? nothing : retry}
    </div>`
}
