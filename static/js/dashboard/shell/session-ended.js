// Removes all of the user's data from the page when the session has ended: keys, values and the title.

import { nothing, render } from "../../vendor/lit-html/lit-html.js"

/** Empty the page; `at(id)` returns its element with that id. */
export function empty(at) {
  document.title = "Signed out · realtime_kv"
  for (const dialog of /** @type {NodeListOf<HTMLDialogElement>} */ (document.querySelectorAll("dialog[open]")))
    dialog.close()
  for (const popover of [at("status"), at("menu")]) if (popover.matches(":popover-open")) popover.hidePopover()
  // through lit-html, because the next dialog is rendered there
  render(nothing, at("dialogs"))
  for (const id of ["list", "detail", "other", "toasts", "status", "polite", "assertive", "update"])
    at(id).replaceChildren()
  at("list").ariaBusy = "false"
  at("main").inert = true
  history.replaceState(null, "", location.href)
}
