// The dialog for quarantined writes: sending them has ended the connection twice; they are kept and not sent again
// automatically.

import { copy } from "../../lib/clipboard.js"
import { html, render } from "../../vendor/lit-html/lit-html.js"
import { show } from "./dialogs.js"
import { waiting } from "./unload-guard.js"

/**
 * @import { Client } from "../../client/client.js"
 * @import { Page } from "../main.js"
 */

/** @param {Client} kv @param {Page} page */
export function showQuarantine(kv, page) {
  const place = page.dialogs
  const retry = (write) => {
    kv.retry(write.payload.op_id).then(
      () => page.toast("The change has been saved."),
      (refusal) => page.toast(refusal.message),
    )
    redraw()
  }
  const discard = (write) => {
    kv.discard(write.payload.op_id)
    redraw()
  }
  const redraw = () => {
    page.redraw()
    if (kv.quarantined.length === 0)
      /** @type {HTMLDialogElement | null} */ (place.querySelector("dialog[open]"))?.close()
    else render(dialog(kv.quarantined, { retry, discard }), place)
  }
  show(place, dialog(kv.quarantined, { retry, discard }))
}

function dialog(writes, { retry, discard }) {
  return html`
    <dialog id="quarantine" aria-labelledby="quarantine-title">
      <h2 id="quarantine-title">Changes that were not sent</h2>
      <p>The connection ended twice when these were sent. Each may or may not have been saved: look at what is there now.
        Try again, which never saves a change twice, or copy what you need and discard it.</p>
      ${writes.map((write) => oneWrite(write, retry, discard))}
      <div class="row-of-buttons"><button type="button" class="primary" @click=${(event) => event.currentTarget.closest("dialog").close()}>Close</button></div>
    </dialog>`
}

function oneWrite(write, retry, discard) {
  const ops = waiting([write])
  const copied = async ({ currentTarget: button }) => {
    button.textContent = (await copy(ops.map(({ key, text }) => `${key}\n${text}`).join("\n\n")))
      ? "Copied"
      : "Copy it by hand"
  }
  return html`
    <div class="unsaved" tabindex="0" role="group" aria-label="A change that was not sent">
      ${ops.map(({ key, text }) => html`<h3 class="mono">${key}</h3><pre>${text}</pre>`)}
    </div>
    <div class="row-of-buttons">
      <button type="button" @click=${copied}>Copy</button>
      <button type="button" class="danger" @click=${() => discard(write)}>Discard</button>
      <button type="button" @click=${() => retry(write)}>Try again</button>
    </div>`
}
