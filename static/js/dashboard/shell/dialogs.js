// The dialogs "signed out" and "sign out?", both with the unsaved texts.

import { copy } from "../../lib/clipboard.js"
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"

const REASONS = {
  signed_out: "You signed out in another tab.",
  ended: "You were signed out of this session.",
  expired: "Your session has expired.",
  password_changed: "The password, or the way of signing in, was changed.",
  disabled: "This account has been disabled. Ask the administrator of this server.",
  deleted: "This account has been deleted. If that was you, signing in restores it for a while.",
  revoked: "The token that this page used was revoked.",
  another_user: "Somebody else has signed in in this browser.",
}
const UNKNOWN = "Your session is over: it was ended, or has expired, while this tab had no connection."

/**
 * Show that the session has ended.
 * - `unsaved`: [{key, text}], shown on request only, since another person may be sitting there now.
 * - `queued`: whether saved, unsent writes are kept in this browser.
 * - `drafts`: the number of unsaved texts; `kept`: they return when `username` signs in in this tab.
 *
 * The dialog stays open, since nothing more can be done on this page.
 *
 * @param {Element} place
 * @param {string | null} reason
 * @param {{ key: string, text: string }[]} unsaved
 * @param {{ queued?: boolean, drafts?: number, kept?: boolean, username?: string }} what
 */
export function showSignedOut(
  place,
  reason,
  unsaved,
  { queued = false, drafts = unsaved.length, kept = false, username = "" } = {},
) {
  const here = `/signin?next=${encodeURIComponent(location.pathname + location.search)}`
  const other = reason === "another_user"
  show(
    place,
    html`
      <dialog id="signed-out" aria-labelledby="signed-out-title" @cancel=${(event) => event.preventDefault()}>
        <h2 id="signed-out-title">You were signed out</h2>
        <p>${REASONS[reason ?? ""] ?? UNKNOWN} Nothing more is saved from here.</p>
        ${queued ? html`<p>Changes that were saved here and not sent yet are kept in this browser. They are sent when you sign in again.</p>` : nothing}
        ${drafts === 0 ? nothing : html`<p>${aboutUnsaved(drafts, kept, username)}</p>`}
        <div id="unsaved-text" hidden></div>
        <div class="row-of-buttons">
          ${unsaved.length === 0 ? nothing : html`${showButton(unsaved)}${copyButton(unsaved)}`}
          <a class="button primary" href=${other ? "/keys" : here}>${other ? "Go on" : "Sign in again"}</a>
        </div>
      </dialog>`,
  )
}

/** @param {string} username */
function aboutUnsaved(count, kept, username) {
  const what = count === 1 ? "One text was not saved yet." : `${count} texts were not saved yet.`
  return kept
    ? `${what} Sign in again as ${username} in this tab to go on with ${count === 1 ? "it" : "them"}.`
    : `${what} Copy ${count === 1 ? "it" : "them"} before you leave this page.`
}

function showButton(unsaved) {
  const reveal = ({ currentTarget: button }) => {
    const place = button.closest("dialog").querySelector("#unsaved-text")
    render(unsavedText(unsaved), place)
    place.hidden = false
    button.hidden = true
    place.querySelector(".unsaved").focus()
  }
  return html`<button type="button" @click=${reveal}>${unsaved.length === 1 ? "Show it" : "Show them"}</button>`
}

/** Ask before a sign-out that would lose `unsaved`; `go()` signs out anyway. */
export function askBeforeSigningOut(place, unsaved, go) {
  show(
    place,
    html`
      <dialog id="signing-out" aria-labelledby="signing-out-title">
        <h2 id="signing-out-title">Sign out and lose this?</h2>
        ${unsavedText(unsaved)}
        <div class="row-of-buttons">
          ${copyButton(unsaved)}
          <button type="button" class="danger" @click=${go}>Sign out</button>
          <button type="button" class="primary" @click=${close}>Stay</button>
        </div>
      </dialog>`,
  )
}

export const close = (event) => event.currentTarget.closest("dialog").close()

function unsavedText(unsaved) {
  return html`
    <p>This was not saved yet:</p>
    <div class="unsaved" tabindex="0" role="group" aria-label="Unsaved text">
      ${unsaved.map(({ key, text }) => html`<h3 class="mono">${key || "New key"}</h3><pre>${text}</pre>`)}
    </div>`
}

function copyButton(unsaved) {
  const copied = async ({ currentTarget: button }) => {
    button.textContent = (await copy(unsaved.map(({ key, text }) => `${key}\n${text}`).join("\n\n")))
      ? "Copied"
      : "Copy it by hand"
  }
  return html`<button type="button" @click=${copied}>Copy</button>`
}

export function show(place, template) {
  place.querySelector("dialog[open]")?.close()
  render(template, place)
  place.querySelector("dialog").showModal()
}
