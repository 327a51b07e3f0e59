// The bulk action bar below the list, while keys are selected.

import { html } from "../../vendor/lit-html/lit-html.js"
import { download, remove } from "./actions.js"
import { moveKeys } from "./move-dialog.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

/** @param {DashboardModel} model */
export function barView(model) {
  const { browse, page } = model
  const { selection } = browse
  const clear = ({ detail: clicks }) => {
    selection.clear()
    // the button disappears, and with it the keyboard focus
    if (!clicks) page.focus("list")
    model.redraw()
  }
  return html`
    <div class="bar-of-many" role="group" aria-label="Selected keys" @keydown=${(event) => event.key === "Escape" && clear(event)}>
      <strong id="selected">${selection.size.toLocaleString("en")} selected</strong>
      <button type="button" class="danger" @click=${() => remove(model, { keys: selection.keys })}>Delete</button>
      <button type="button" @click=${() => moveKeys(model, selection.keys)}>Move…</button>
      <button type="button" @click=${() => download(model, selection.keys)}>Export</button>
      <button type="button" class="quiet" @click=${clear}>Clear</button>
    </div>`
}
