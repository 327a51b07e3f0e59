// The header of an open key: its name, and the actions on the whole key; on a narrow screen they are behind one button.

import { html, nothing, svg } from "../../vendor/lit-html/lit-html.js"
import { icon, keyText } from "../shared/view-helpers.js"

/**
 * @import { Page } from "../main.js"
 * @import { Showing } from "./model/open-key.js"
 */

const BACK = icon(svg`<path d="M10 3 5 8l5 5"/>`)

/** @param {{ close(): void }} opened */
export function backButton(opened) {
  return html`<button type="button" class="back quiet" @click=${() => opened.close()}>${BACK}All keys</button>`
}

/** @param {Showing} opened @param {Page} page */
export function headView(opened, page) {
  const { key, draft } = opened.open
  const acts = draft.base ? actsOn(opened, page) : []
  return html`
    <div class="detail-head">
      <h2 tabindex="-1" id="detail-heading" class="mono">${keyText(key)}</h2>
      ${
        acts.length === 0
          ? nothing
          : html`
            <div class="acts">${acts.map(button)}</div>
            <button type="button" class="sheet-opener" aria-haspopup="dialog" @click=${openSheet}>Actions</button>
            <dialog class="from-below" id="acts" aria-labelledby="acts-title" @click=${closeSheet} @keydown=${(event) => event.stopPropagation()}>
              <h3 id="acts-title" class="mono">${keyText(key)}</h3>
              ${acts.map(button)}
              <button type="button" class="quiet">Cancel</button>
            </dialog>`
      }
    </div>`
}

/** @param {{ name: string, command: string, run(): unknown, danger?: boolean }} action */
function button({ name, command, run, danger }) {
  return html`<button type="button" data-command=${command} class=${danger ? "danger" : ""} @click=${run}>${name}</button>`
}

/** @param {Showing} opened @param {Page} page */
function actsOn(opened, page) {
  const { key, draft } = opened.open
  return [
    { name: "Copy", command: "copy-value", run: () => page.copy(draft.text, "Value") },
    { name: "Link", command: "copy-link", run: () => page.copy(location.href, "Link") },
    { name: "Rename…", command: "rename", run: () => page.run("rename") },
    { name: "Duplicate", command: "duplicate", run: () => page.run("duplicate") },
    { name: "Delete", command: "delete", danger: true, run: () => opened.remove(key) },
  ].filter(({ command }) => page.can(command))
}

function openSheet({ currentTarget }) {
  currentTarget.nextElementSibling.showModal()
}

/** Close the sheet after a choice in it, or on a click beside it. */
function closeSheet({ target, currentTarget: sheet }) {
  if (target === sheet || target.closest("button")) sheet.close()
}
