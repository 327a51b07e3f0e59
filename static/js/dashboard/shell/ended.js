// When the session has ended, nothing of the user is left in the page: not the keys, not a value, not a title.

import { nothing, render } from "../../vendor/lit-html/lit-html.js"

/** Empties the page: `at(id)` is its element of that id. */
export function empty(at) {
  document.title = "Signed out · realtime_kv"
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close()
  for (const popover of [at("status"), at("menu")]) if (popover.matches(":popover-open")) popover.hidePopover()
  // the next dialog is drawn there
  render(nothing, at("dialogs"))
  for (const id of ["list", "detail", "other", "toasts", "status", "polite", "assertive", "update"]) at(id).replaceChildren()
  at("list").ariaBusy = "false"
  at("main").inert = true
  history.replaceState(null, "", location.href)
}
