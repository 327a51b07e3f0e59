// The open key: its value in an editor, what others did to it meanwhile, and what the server knows about it.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { live } from "../../vendor/lit-html/directives/live.js"
import { ago, moment } from "../shared/clock.js"
import { whoWrote } from "../shared/origins.js"
import { conflictText } from "./conflict.js"
import { kindOf, readJson, sizeOf } from "../shared/json-text.js"
import { keyText, signs } from "../shared/pieces.js"

export function detailView(desk) {
  if (desk.opened.fresh) return freshView(desk)
  if (desk.opened.open) return openView(desk, desk.opened.open)
  return html`
    <div class="nothing-open">
      <p>Choose a key to see its value,<br>or press <kbd>n</kbd> for a new one.</p>
    </div>`
}

function openView(desk, open) {
  const { key, draft, answer } = open
  const exists = draft.base !== null
  return html`
    ${back(desk)}
    <div class="detail-head">
      <h2 tabindex="-1" id="detail-heading" class="mono">${keyText(key)}</h2>
      <div class="acts" ?hidden=${!exists}>
        <button type="button" @click=${() => desk.page.copy(draft.text, "Value")}>Copy</button>
        <button type="button" @click=${() => desk.page.copy(location.href, "Link")}>Link</button>
        <button type="button" class="danger" @click=${() => desk.opened.remove(key)}>Delete</button>
      </div>
    </div>
    ${conflictBanner(desk, draft)} ${answerNotice(desk, open)}
    ${answer.refusal || (answer.asking && !exists && !desk.synced) ? nothing : editor(desk, open)}
    ${exists && !answer.refusal ? meta(desk, open) : nothing}`
}

function freshView(desk) {
  const { fresh } = desk.opened
  const taken = desk.kv.entry(fresh.key) !== undefined
  const typed = (name) => (event) => {
    fresh[name] = event.target.value
    fresh.problem = null
    desk.redraw()
  }
  return html`
    ${back(desk)}
    <div class="detail-head"><h2 tabindex="-1" id="detail-heading">New key</h2></div>
    <form class="editor-form" novalidate @submit=${submitted(desk)}>
      <div class="field">
        <label for="new-key">Key</label>
        <input id="new-key" class="mono" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="app/feature-flags" .value=${live(fresh.key)}
          aria-describedby="new-key-note" aria-invalid=${String(Boolean(fresh.problem))} @input=${typed("key")}>
        <p class="hint" id="new-key-note">
          ${fresh.problem
            ? html`<span class="bad">${fresh.problem}</span>`
            : taken
              ? html`This key exists. <button type="button" class="link" @click=${() => desk.opened.openKey(fresh.key)}>Open it</button>`
              : "Up to 512 bytes. A slash makes a folder."}
        </p>
      </div>
      <div class="field">
        <label for="editor">Value <span class="dim">(JSON)</span></label>
        ${textBox({ text: fresh.text, label: "Value, JSON", typed: typed("text"), reading: readJson(fresh.text), placeholder: '"text", 42, true, null, [ ], { }' })}
      </div>
      <div class="foot">
        ${fresh.text === "" ? html`<p id="editor-note">Any JSON value.</p>` : note(readJson(fresh.text), fresh.text)}
        <div class="row-of-buttons">
          <button type="button" @click=${() => desk.opened.close()}>Cancel</button>
          <button type="submit" class="primary" aria-keyshortcuts="Control+S">Create <kbd aria-hidden="true">Ctrl S</kbd></button>
        </div>
      </div>
    </form>`
}

function back(desk) {
  return html`<button type="button" class="back quiet" @click=${() => desk.opened.close()}>${signs.back}All keys</button>`
}

function conflictBanner(desk, draft) {
  if (!draft.conflict) return nothing
  const gone = draft.conflict.entry === null
  return html`
    <div class="conflict" id="conflict">
      <p><strong>${gone ? "Deleted in another tab." : draft.base ? "Changed in another tab." : "This key exists already."}</strong> ${conflictText(draft)}</p>
      ${gone ? nothing : html`<pre class="theirs" tabindex="0" aria-label="Their value">${JSON.stringify(draft.conflict.entry.value, null, 2).slice(0, 2_000)}</pre>`}
      <div class="row-of-buttons">
        <button type="button" @click=${() => desk.opened.keepMine()}>Keep mine</button>
        <button type="button" @click=${() => desk.opened.takeTheirs()}>${gone ? "Leave it deleted" : "Take theirs"}</button>
      </div>
    </div>`
}

function answerNotice(desk, { key, draft, answer }) {
  if (answer.refusal) return html`<p class="problem" id="answer">${answer.refusal.message}</p>`
  if (answer.missing && draft.base === null && !draft.conflict) {
    const when = answer.deleted_at ? ` It was deleted ${ago(answer.deleted_at, desk.now())}.` : ""
    return html`<p class="answer" id="answer">There is no such key.${when} Saving a value creates it.</p>`
  }
  return nothing
}

function editor(desk, open) {
  const { draft, refusal } = open
  const { reading } = draft
  const empty = draft.base === null && draft.text === ""
  const queued = draft.saving !== null && desk.kv.state === "offline"
  return html`
    <form class="editor-form" novalidate @submit=${submitted(desk)}>
      ${textBox({ text: draft.text, label: `Value of ${open.key}, JSON`, typed: (event) => desk.opened.type(event.target.value), reading: empty ? {} : reading })}
      <div class="foot">
        ${empty ? html`<p id="editor-note">Any JSON value.</p>` : queued ? html`<p id="editor-note">It is sent as soon as the connection is back.</p>` : note(reading, draft.text)}
        <div class="row-of-buttons">
          ${reading.problem && !empty ? html`<button type="button" @click=${() => desk.opened.saveAsText()}>Save as text</button>` : html`<button type="button" ?hidden=${empty} @click=${() => desk.opened.format()}>Format</button>`}
          <button type="button" ?hidden=${!draft.unsaved} @click=${() => desk.opened.discard()}>Discard</button>
          <button type="submit" class="primary" aria-keyshortcuts="Control+S" aria-disabled=${String(!draft.unsaved)}>
            ${saveLabel(desk, draft)} <kbd aria-hidden="true">Ctrl S</kbd>
          </button>
        </div>
      </div>
      ${refusal ? html`<p class="problem" id="refusal">${refusal.message}${refusal.request_id ? html` <span class="mono">${refusal.request_id}</span>` : nothing}</p>` : nothing}
    </form>`
}

function saveLabel({ kv }, draft) {
  if (draft.saving !== null) return kv.state === "offline" ? "Queued" : "Saving…"
  return draft.base === null ? "Create" : "Save"
}

function textBox({ text, label, typed, reading, placeholder = "" }) {
  const lines = text.split("\n").length
  const numbers = Array.from({ length: Math.max(1, lines) }, (_, i) => i + 1).join("\n")
  const wrong = text !== "" && Boolean(reading.problem)
  return html`
    <div class=${`text-box${wrong ? " wrong" : ""}`}>
      <pre class="numbers" aria-hidden="true" .style=${`inline-size:${Math.max(2, String(lines).length)}ch`}><span>${numbers}</span></pre>
      <textarea id="editor" class="mono" wrap="off" rows="8" spellcheck="false" autocomplete="off" autocapitalize="none" placeholder=${placeholder} .value=${live(text)}
        aria-label=${label} aria-describedby="editor-note" aria-invalid=${String(wrong)} @input=${typed} @scroll=${followScroll}></textarea>
    </div>`
}

function followScroll({ target }) {
  target.previousElementSibling.firstElementChild.style.transform = `translateY(${-target.scrollTop}px)`
}

function note({ value, problem }, text) {
  if (problem) return html`<p id="editor-note"><span class="bad">Line ${problem.line}, column ${problem.column}:</span> ${problem.message}</p>`
  if (text.length > 100_000) return html`<p id="editor-note"><span class="good">Valid JSON</span> · ${kindOf(value)}</p>`
  return html`<p id="editor-note"><span class="good">Valid JSON</span> · ${kindOf(value)} · ${sizeOf(value).toLocaleString("en")} B</p>`
}

function meta(desk, { draft, created }) {
  const { revision, updated_at, expires_at, origin } = draft.base
  const now = desk.now()
  return html`
    <dl class="meta">
      <div><dt>Revision</dt><dd class="mono">${revision}</dd></div>
      <div><dt>Updated</dt><dd><time datetime=${updated_at} title=${moment(updated_at)}>${ago(updated_at, now)}</time>${origin ? html` by ${whoWrote(origin)}` : nothing}</dd></div>
      <div><dt>Created</dt><dd>${created ? html`<time datetime=${created} title=${moment(created)}>${ago(created, now)}</time>` : "…"}</dd></div>
      <div><dt>Expires</dt><dd>${expires_at ? html`<time datetime=${expires_at}>${moment(expires_at)}</time>` : "Never"}</dd></div>
    </dl>`
}

function submitted(desk) {
  return (event) => {
    event.preventDefault()
    desk.opened.save()
  }
}
