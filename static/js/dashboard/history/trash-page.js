// The trash page: deleted keys, which can be restored until they are purged.

import { live } from "../../vendor/lit-html/directives/live.js"
import { repeat } from "../../vendor/lit-html/directives/repeat.js"
import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { stylesheet } from "../shared/load-stylesheet.js"
import { ago, moment } from "../shared/time-format.js"
import { keyText, preview } from "../shared/view-helpers.js"
import { authorOf } from "./authors.js"
import { historyPath } from "./links.js"
import { TrashModel } from "./trash-model.js"
import { troubles } from "./view-helpers.js"

/**
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Page } from "../main.js"
 * @import { Route } from "../route.js"
 */

await stylesheet("/static/css/history.css")

const DAY = 86_400_000
const SOON = 3 // days

const bins = new WeakMap()

/** @param {DashboardModel} model */
function binOf(model) {
  if (!bins.has(model)) bins.set(model, new TrashModel(model))
  return bins.get(model)
}

/** @param {DashboardModel} model @param {Route} route */
export function view(model, route) {
  const bin = binOf(model)
  bin.look()
  const items = bin.items(route.q)
  const days = model.page.trashDays
  return html`
    <div class="past-page">
      <div class="past-head">
        <h1>Trash</h1>
        <a class="button" href="/activity">Activity</a>
        <p>Deleted keys stay here for ${days} ${days === 1 ? "day" : "days"}. Then they are gone for good, with their history.</p>
      </div>
      ${bin.entries.length > 0 ? tools(model, bin, route, items) : nothing} ${troubles(model.kv.state, bin, "The trash")}
      ${bin.loaded ? (items.length > 0 ? table(model, bin, items) : empty(model.page, route)) : nothing}
      ${bin.next !== null || items.length > bin.visible ? html`<p class="older"><button type="button" aria-disabled=${String(bin.asking)} @click=${() => bin.showMore()}>Show more</button></p>` : nothing}
    </div>`
}

/** @param {DashboardModel} model @param {TrashModel} bin @param {Route} route */
function tools(model, bin, route, items) {
  const chosen = items.filter(({ key }) => bin.chosen.has(key)).map(({ key }) => key)
  const typed = ({ target }) => {
    model.page.go({ q: target.value }, { replace: true })
    if (target.value) model.page.say(`${bin.items(target.value).length} deleted keys match`)
  }
  return html`
    <div class="past-tools" role="search">
      <div class="search">
        <label class="vh" for="past-filter">Filter keys</label>
        <input id="past-filter" type="search" placeholder="Filter keys" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="512" .value=${live(route.q)} @input=${typed}>
      </div>
      <span class="chosen" role="status">${chosen.length > 0 ? `${chosen.length} selected` : `${items.length.toLocaleString("en")}${bin.next === null ? "" : "+"} ${items.length === 1 ? "key" : "keys"}`}</span>
      ${
        chosen.length > 0
          ? html`<button type="button" class="primary small" @click=${() => restore(model, bin, chosen)}>Restore ${chosen.length === 1 ? "it" : `all ${chosen.length}`}</button>
            <button type="button" class="small" @click=${() => choose(model.page, bin, chosen, false)}>Clear</button>`
          : nothing
      }
    </div>`
}

/** @param {DashboardModel} model @param {TrashModel} bin */
function table(model, bin, items) {
  const keys = items.map(({ key }) => key)
  const all = keys.every((key) => bin.chosen.has(key))
  const some = !all && keys.some((key) => bin.chosen.has(key))
  return html`
    <div class="bin" role="table" aria-label="Deleted keys">
      <div class="bin-row bin-head" role="row">
        <span role="columnheader" class="pick"><label><input type="checkbox" .checked=${all} .indeterminate=${some} @change=${({ target }) => choose(model.page, bin, keys, target.checked)}><span class="vh">Select all</span></label></span>
        <span role="columnheader" class="k">Key</span><span role="columnheader" class="v">Value</span><span role="columnheader" class="by">Deleted</span><span role="columnheader" class="left">Deleted for good in</span><span role="columnheader" class="act"><span class="vh">Restore</span></span>
      </div>
      ${repeat(
        items.slice(0, bin.visible),
        ({ key }) => key,
        (entry) => row(model, bin, entry),
      )}
    </div>`
}

/** @param {DashboardModel} model @param {TrashModel} bin */
function row(model, bin, entry) {
  const { key, value, revision, deleted_at, purge_at, origin } = entry
  const picked = bin.chosen.has(key)
  const left = Math.max(0, Math.ceil((Date.parse(purge_at) - model.now()) / DAY))
  const expired = origin.via === "expiry"
  return html`
    <div class=${`bin-row${picked ? " picked" : ""}`} role="row">
      <span role="cell" class="pick"><label><input type="checkbox" .checked=${picked} @change=${({ target }) => choose(model.page, bin, [key], target.checked)}><span class="vh">Select ${key}</span></label></span>
      <span role="cell" class="k mono"><a href=${historyPath(key)} title=${key}>${keyText(key)}</a></span>
      <span role="cell" class="v mono">${preview(value)}</span>
      <span role="cell" class="by"><time datetime=${deleted_at} title=${moment(deleted_at)}>${expired ? "expired " : ""}${ago(deleted_at, model.now())}</time>${expired ? nothing : html` <span class="dim">${authorOf(model.kv, { origin, revision }).name}</span>`}</span>
      <span role="cell" class=${`left${left <= SOON ? " soon" : ""}`}><time datetime=${purge_at} title=${`Until ${moment(purge_at)}`}>${left} ${left === 1 ? "day" : "days"}</time></span>
      <span role="cell" class="act"><button type="button" class="small" @click=${() => restore(model, bin, [key])}>Restore<span class="vh"> ${key}</span></button></span>
    </div>`
}

/** @param {Page} page @param {TrashModel} bin @param {string[]} keys */
function choose(page, bin, keys, on) {
  for (const key of keys) {
    if (on) bin.chosen.add(key)
    else bin.chosen.delete(key)
  }
  page.redraw()
}

/** @param {DashboardModel} model @param {TrashModel} bin @param {string[]} keys */
async function restore(model, bin, keys) {
  if (model.kv.state === "offline")
    return model.page.toast("There is no connection: nothing was restored. Try again when it is back.")
  const { revisions, refusals } = await bin.restore(keys)
  if (revisions.length > 0)
    model.undo.offer(
      revisions.length === 1 && keys.length === 1
        ? html`Restored <b class="mono">${keyText(keys[0])}</b>`
        : `Restored ${revisions.length} keys`,
      revisions,
    )
  if (refusals.length === 1) model.page.toast(refusals[0].message)
  if (refusals.length > 1) model.page.toast(`${refusals.length} keys were not restored: ${refusals[0].message}`)
}

/** @param {Page} page */
function empty(page, { q }) {
  if (q !== "")
    return html`
      <div class="empty">
        <p>No deleted key matches <strong class="mono">${q}</strong>.</p>
        <button type="button" @click=${() => page.go({ q: "" }, { replace: true })}>Clear the filter</button>
      </div>`
  return html`<div class="empty"><h2>The trash is empty</h2><p>A key that you delete, or that expires, waits here in case you want it back.</p></div>`
}
