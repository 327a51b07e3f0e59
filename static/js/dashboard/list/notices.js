// What the list has to say beside its rows: how many, in which order, how stale.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { asOf } from "../shared/clock.js"
import { count, signs } from "../shared/pieces.js"

const SORTS = { key: "Key, A–Z", "-key": "Key, Z–A", "-updated": "Newest change", updated: "Oldest change" }

export function listNotices(desk) {
  const { rows } = desk.browse
  const some = rows.filtering ? "match" : rows.view.prefix
  const total = count(rows.total, "key", "keys")
  return html`
    <div class="sub">
      <span id="count">${!desk.synced ? "Loading…" : rows.filtering ? html`${count(rows.keys.length, "match", "matches")}<span class="of"> of ${total}</span>` : some ? `${rows.keys.length.toLocaleString("en")} of ${total}` : total}${rows.partial ? ", still searching…" : ""}</span>
      ${rows.total > 0 ? order(desk) : nothing}
    </div>`
}

/** It stands above the rows, so that it moves none of them. */
export function unsentChip({ unsent }) {
  return unsent.size > 0 ? html`<span class="chip warn" id="unsent">${count(unsent.size, "unsent change", "unsent changes")}</span>` : nothing
}

/** Writes that are not sent by themselves any more; the dialog says what can be done. */
export function quarantineChip(desk) {
  const { length } = desk.kv.quarantined
  if (length === 0) return nothing
  const open = async () => (await import("../shell/quarantine.js")).showQuarantine(desk)
  return html`<button type="button" class="chip warn" id="quarantined" @click=${open}>${count(length, "change was", "changes were")} not sent</button>`
}

function order({ browse, page }) {
  const { tree, sort } = browse.rows.view
  const view = (name, label, on) => html`<button type="button" aria-pressed=${String(on)} @click=${() => browse.setView(name)}>${label}</button>`
  return html`
    <span class="order">
      <span class="seg" role="group" aria-label="View" data-command="view">${view("tree", "Tree", tree)}${view("list", "List", !tree)}</span>
      <select id="sort" aria-label="Sort" title="Sort" @change=${({ target }) => page.go({ sort: target.value }, { replace: true })}>
        ${Object.entries(SORTS).map(([name, label]) => html`<option value=${name} ?selected=${name === sort}>${label}</option>`)}
      </select>
      <button type="button" class="icon quiet" id="pause" aria-label="Pause live changes" aria-pressed=${String(browse.paused)} data-command="pause" @click=${() => browse.pause()}>${browse.paused ? signs.play : signs.pause}</button>
    </span>`
}

/** It stands below the rows, so that it moves none of them. */
export function offlineNotice(desk) {
  if (desk.kv.state !== "offline") return nothing
  const since = desk.synced && desk.lastLive ? `This is how it was ${asOf(desk.lastLive)}. ` : ""
  return html`<p class="offline"><strong>Offline.</strong> ${since}What you save is kept in this ${desk.kv.keepsPending ? "browser" : "tab"} until the connection is back.</p>`
}

/** Before anything is known. */
export const placeholder = html`<div class="skeleton" aria-hidden="true"><span></span><span></span><span></span><span></span><span></span></div>`
