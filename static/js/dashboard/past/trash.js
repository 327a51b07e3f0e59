// The page "Trash".

import { html } from "../../vendor/lit-html/lit-html.js"

export function view(_desk, _route) {
  return html`<h2>Trash</h2>`
}
