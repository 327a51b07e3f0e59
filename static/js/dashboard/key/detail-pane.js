// The detail pane: shows the open key, or a placeholder until key-view.js is loaded, with the first open key at the latest.

import { html } from "../../vendor/lit-html/lit-html.js"

/**
 * @import { Client } from "../../client/client.js"
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Page } from "../main.js"
 * @import { OpenKey } from "./model/open-key.js"
 */

/** @type {typeof import("./key-view.js") | null} */
let pane = null // the module key-view.js
let loading = false
/** @type {number | null} */
let failed = null // when loading failed, in milliseconds

const AGAIN = 5_000

/**
 * Return a template, or null when nothing is open.
 * @param {DashboardModel} model
 */
export function detailView(model) {
  const { kv, opened, page } = model
  const { open, fresh, edited } = opened
  pane?.tellOthers(page, edited)
  if (!open && !fresh) return null
  if (pane) return fresh ? pane.freshView(model) : pane.openView(model)
  prepare(kv, page)
  return failed !== null ? withoutPane(kv, opened) : html`<div class="nothing-open" aria-busy="true"></div>`
}

/**
 * Load the module that shows an open key.
 * @param {Client} kv
 * @param {Page} page
 */
export async function prepare(kv, page) {
  if (loading || (failed !== null && (kv.state !== "live" || Date.now() - failed < AGAIN))) return
  loading = true
  pane = await import("./key-view.js").catch((error) => page.failedToLoad(error) ?? null)
  failed = pane ? null : Date.now()
  loading = false
  page.redraw()
}

/** @param {Client} kv @param {OpenKey} opened */
function withoutPane(kv, opened) {
  const entry = opened.open && kv.entry(opened.open.key)
  return html`
    <h2 tabindex="-1" id="detail-heading" class="mono">${opened.open?.key ?? "New key"}</h2>
    <p class="hint">The editor could not be loaded. It comes with the connection.</p>
    ${entry ? html`<pre class="plain-value">${JSON.stringify(entry.value, null, 2)}</pre>` : ""}`
}
