// The bar below the list, while keys are ticked.

import { html } from "../../vendor/lit-html/lit-html.js"
import { download, remove } from "./actions.js"
import { moveKeys } from "./move.js"

export function barView(desk) {
  const { browse, page } = desk
  const { selection } = browse
  const clear = ({ detail: clicks }) => {
    selection.clear()
    // the button goes, and with it the focus of whoever came by the keyboard
    if (!clicks) page.focus("list")
    desk.redraw()
  }
  return html`
    <div class="bar-of-many" role="group" aria-label="Selected keys" @keydown=${(event) => event.key === "Escape" && clear(event)}>
      <strong id="selected">${selection.size.toLocaleString("en")} selected</strong>
      <button type="button" class="danger" @click=${() => remove(desk, { keys: selection.keys })}>Delete</button>
      <button type="button" @click=${() => moveKeys(desk, selection.keys)}>Move…</button>
      <button type="button" @click=${() => download(desk, selection.keys)}>Export</button>
      <button type="button" class="quiet" @click=${clear}>Clear</button>
    </div>`
}
