// The detail pane: shows the open key, or a placeholder until key-view.js is loaded, with the first open key at the latest.

import { html } from "../../vendor/lit-html/lit-html.js"

let pane = null // the module key-view.js
let loading = false
let failed = null // when loading failed, in milliseconds

const AGAIN = 5_000

/** Return a template, or null when nothing is open. */
export function detailView(model) {
  const { open, fresh } = model.opened
  pane?.tellOthers(model)
  if (!open && !fresh) return null
  if (pane) return fresh ? pane.freshView(model) : pane.openView(model)
  prepare(model)
  return failed !== null ? withoutPane(model) : html`<div class="nothing-open" aria-busy="true"></div>`
}

/** Load the module that shows an open key. */
export async function prepare(model) {
  if (loading || (failed !== null && (model.kv.state !== "live" || Date.now() - failed < AGAIN))) return
  loading = true
  pane = await import("./key-view.js").catch((error) => model.page.failedToLoad(error) ?? null)
  failed = pane ? null : Date.now()
  loading = false
  model.redraw()
}

function withoutPane({ opened, kv }) {
  const entry = opened.open && kv.entry(opened.open.key)
  return html`
    <h2 tabindex="-1" id="detail-heading" class="mono">${opened.open?.key ?? "New key"}</h2>
    <p class="hint">The editor could not be loaded. It comes with the connection.</p>
    ${entry ? html`<pre class="plain-value">${JSON.stringify(entry.value, null, 2)}</pre>` : ""}`
}
