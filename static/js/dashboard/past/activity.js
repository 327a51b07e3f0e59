// The page "Activity".

import { html } from "../../vendor/lit-html/lit-html.js"

export function view(_desk, _route) {
  return html`<h2>Activity</h2>`
}
