// The parts around the rows: breadcrumbs of the folder that is shown, the empty state, and notices above and below the
// rows.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { asOf } from "../shared/hours.js"
import { count, keyText, signs } from "../shared/view-helpers.js"

/**
 * @import { Client } from "../../client/client.js"
 * @import { Page } from "../main.js"
 * @import { ListModel } from "./model/list-model.js"
 */

/**
 * Render the breadcrumbs of the folder that is shown.
 * @param {ListModel} browse
 * @param {Page} page
 */
export function crumbs(browse, page) {
  const { prefix } = browse.rows.view
  const names = prefix.match(/[^/]*\/|[^/]+$/g) ?? []
  const to = (end) => names.slice(0, end).join("")
  return html`
    <nav class="crumbs" aria-label="Folder"><ol>
      <li><button type="button" class="link" @click=${() => page.go({ prefix: "" })}>All keys</button></li>
      ${names.map((name, i) =>
        i < names.length - 1
          ? html`<li><button type="button" class="link mono" @click=${() => page.go({ prefix: to(i + 1) })}>${name}</button></li>`
          : html`<li><span class="mono" aria-current="location">${name}</span></li>`,
      )}
    </ol></nav>`
}

export function emptyNotice({ browse, opened, page }) {
  const { q, prefix } = browse.rows.view
  const key = q.startsWith(prefix) ? q : prefix + q
  return html`
    <div class="empty">
      <p>${q === "" ? html`There is nothing in <strong class="mono">${prefix}</strong>.` : html`No keys or values match <strong class="mono">${q}</strong>${prefix ? html` in <strong class="mono">${prefix}</strong>` : ""}.`}</p>
      <div class="row-of-buttons">
        ${q === "" ? nothing : html`<button type="button" @click=${() => browse.setFilter("")}>Clear the filter</button>`}
        ${prefix === "" ? nothing : html`<button type="button" @click=${() => page.go({ prefix: "" })}>${q === "" ? "All keys" : "Look in all keys"}</button>`}
        <button type="button" @click=${() => opened.startNew(key)}>Create key <span class="mono">${key}</span></button>
      </div>
    </div>`
}

/**
 * Render notices above the rows, in a place that moves no row. `toTop()` sorts the held rows, and shows the changed
 * ones.
 */
export function news({ browse, kv, opened, page }, toTop) {
  const { rows, marks, unsent } = browse
  return html`
    ${opened.strays.map(({ key, open }) => html`<button type="button" class="chip warn stray" @click=${open}>${signs.draft}Unsaved: ${key ? html`<span class="mono">${keyText(key)}</span>` : "a new key"}</button>`)}
    ${browse.paused ? html`<button type="button" class="chip warn" id="resume" @click=${() => browse.pause()}>${signs.play}Paused · ${count(browse.waiting, "change", "changes")} waiting</button>` : nothing}
    ${browse.held.size > 0 ? html`<button type="button" class="chip" id="held" @click=${toTop}>${count(browse.held.size, "change", "changes")} ${rows.view.sort === "updated" ? "below" : "above"} · show</button>` : nothing}
    ${browse.away.size > 0 ? awayChip(browse) : nothing}
    ${marks.bursting(Date.now()) ? html`<span class="chip">${marks.rate(Date.now())} changes/s</span>` : nothing}
    ${unsent.size > 0 ? html`<span class="chip warn" id="unsent">${count(unsent.size, "unsent change", "unsent changes")}</span>` : nothing}
    ${quarantineChip(kv, page)}`
}

/**
 * Render the number of writes that are no longer sent automatically; the dialog offers what can be done.
 * @param {Client} kv
 * @param {Page} page
 */
function quarantineChip(kv, page) {
  const { length } = kv.quarantined
  if (length === 0) return nothing
  const open = async () => (await import("../shell/quarantine.js")).showQuarantine(kv, page)
  return html`<button type="button" class="chip warn" id="quarantined" @click=${open}>${count(length, "change was", "changes were")} not sent</button>`
}

/** @param {ListModel} browse */
function awayChip(browse) {
  const only = browse.rows.view.only !== null
  return html`<button type="button" class="chip" id="away" aria-pressed=${String(only)} @click=${() => browse.showAway(!only)}>${only ? "Show all keys again" : `${count(browse.away.size, "key", "keys")} changed while you were away`}</button>`
}

/**
 * Render the offline notice, below the rows, so that it moves none of them.
 * @param {Client} kv
 */
export function offlineNotice(kv, lastLive) {
  const since = lastLive ? `This is how it was ${asOf(lastLive)}. ` : ""
  return html`<p class="offline"><strong>Offline.</strong> ${since}What you save is kept in this ${kv.keepsPending ? "browser" : "tab"} until the connection is back.</p>`
}
