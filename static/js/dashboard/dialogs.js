// The two dialogs: you were signed out (with what is not saved yet), and the keyboard.

import { html, nothing, render } from "../vendor/lit-html/lit-html.js"
import { copy } from "../clipboard.js"
import { SHORTCUTS, singleKeysAreOn, switchSingleKeys } from "./shortcuts.js"

const REASONS = {
  expired: "Your session has expired.",
  password_changed: "The password was changed.",
  disabled: "This account has been disabled.",
  deleted: "This account has been deleted.",
  revoked: "This session was ended from another place.",
  another_user: "Somebody else has signed in in this browser.",
}

/** `unsaved`: [{key, text}]. The dialog stays: there is nothing to be done here any more. */
export function showSignedOut(place, reason, unsaved) {
  const copied = async ({ currentTarget: button }) => {
    button.textContent = (await copy(unsaved.map(({ key, text }) => `${key}\n${text}`).join("\n\n"))) ? "Copied" : "Copy it by hand"
  }
  const here = `/signin?next=${encodeURIComponent(location.pathname + location.search)}`
  const other = reason === "another_user"
  show(
    place,
    html`
      <dialog id="signed-out" aria-labelledby="signed-out-title" @cancel=${(event) => event.preventDefault()}>
        <h2 id="signed-out-title">You were signed out</h2>
        <p>${REASONS[reason] ?? "You signed out in another tab."} Nothing more is saved from here.</p>
        ${unsaved.length === 0
          ? nothing
          : html`<p>This was not saved yet:</p>
              <div class="unsaved" tabindex="0" role="group" aria-label="Unsaved text">
                ${unsaved.map(({ key, text }) => html`<h3 class="mono">${key || "New key"}</h3><pre>${text}</pre>`)}
              </div>`}
        <div class="row-of-buttons">
          ${unsaved.length === 0 ? nothing : html`<button type="button" @click=${copied}>Copy</button>`}
          <a class="button primary" href=${other ? "/keys" : here}>${other ? "Go on" : "Sign in again"}</a>
        </div>
      </dialog>`,
  )
}

export function showShortcuts(place) {
  const close = (event) => event.currentTarget.closest("dialog").close()
  show(
    place,
    html`
      <dialog id="shortcuts" aria-labelledby="shortcuts-title">
        <h2 id="shortcuts-title">Keyboard</h2>
        <dl class="keys">${SHORTCUTS.map(({ keys, does }) => html`<div><dt><kbd>${keys}</kbd></dt><dd>${does}</dd></div>`)}</dl>
        <label class="check"><input type="checkbox" .checked=${singleKeysAreOn()} @change=${({ target }) => switchSingleKeys(target.checked)}> Single-key shortcuts</label>
        <div class="row-of-buttons"><button type="button" class="primary" @click=${close}>Close</button></div>
      </dialog>`,
  )
}

function show(place, template) {
  place.querySelector("dialog[open]")?.close()
  render(template, place)
  place.querySelector("dialog").showModal()
}
