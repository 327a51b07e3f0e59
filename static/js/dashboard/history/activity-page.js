// The activity page: the changes of the user's keys, newest first.

import { live } from "../../vendor/lit-html/directives/live.js"
import { repeat } from "../../vendor/lit-html/directives/repeat.js"
import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { timeOfDay } from "../shared/hours.js"
import { stylesheet } from "../shared/load-stylesheet.js"
import { ago, moment } from "../shared/time-format.js"
import { keyText, preview } from "../shared/view-helpers.js"
import { ActivityModel, isFiltered } from "./activity-model.js"
import { authorOf } from "./authors.js"
import { folderOf, summaryOf } from "./change-kinds.js"
import { WHO } from "./filters.js"
import { historyPath } from "./links.js"
import { endOf, kindView, older, troubles } from "./view-helpers.js"

/**
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Page } from "../main.js"
 * @import { Route } from "../route.js"
 */

await stylesheet("/static/css/history.css")

const MOST_KEYS = 100 // keys of one write that are shown at once

const feeds = new WeakMap()

/** @param {DashboardModel} model */
function feedOf(model) {
  if (!feeds.has(model)) {
    feeds.set(model, new ActivityModel(model))
    learnTokens(feeds.get(model), model.page)
  }
  return feeds.get(model)
}

/** @param {DashboardModel} model @param {Route} route */
export function view(model, route) {
  const feed = feedOf(model)
  feed.look(isHeld())
  const items = feed.items(route)
  return html`
    <div class="past-page">
      <div class="past-head">
        <h1>Activity</h1>
        <a class="button" href="/trash">Trash</a>
        <p>Every change to your keys, from any device.</p>
      </div>
      ${tools(model.page, feed, route, items)} ${troubles(model.kv.state, feed, "Activity")}
      <div class="chip-place" role="status">${fresh(feed)}</div>
      <div class="feed" aria-busy=${String(feed.writes.asking !== null)} @pointerleave=${() => model.redraw()}>${days(model, feed, items.slice(0, feed.visible))}</div>
      ${ending(feed, route, items)}
    </div>`
}

/** Whether new writes must wait: nothing moves under the pointer or the focus, or while the page is scrolled down. */
function isHeld() {
  const feed = document.querySelector(".feed")
  const scrolled = Math.max(pageElement().scrollTop, scrollY) > 120
  return scrolled || (feed?.matches(":hover, :focus-within") ?? false)
}

const pageElement = () => /** @type {HTMLElement} */ (document.getElementById("other"))

/** @param {Page} page @param {ActivityModel} feed @param {Route} route */
function tools(page, feed, route, items) {
  const go = (changes) => page.go(changes, { replace: true })
  const typed = ({ target }) => {
    go({ q: target.value })
    if (target.value)
      page.say(items.length === 1 ? "1 change matches" : `${feed.items(page.route).length} changes match`)
  }
  const { away, before } = feed
  return html`
    <div class="past-tools" role="search">
      <div class="search">
        <label class="vh" for="past-filter">Filter by key or value</label>
        <input id="past-filter" type="search" placeholder="Filter by key or value" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="512" .value=${live(route.q)} @input=${typed}>
      </div>
      <div class="by-whom"><label for="who">By</label> <select id="who" @change=${({ target }) => go({ who: target.value })}>
        <option value="all" .selected=${route.who === "all"}>everyone</option>
        ${Object.entries(WHO).map(([who, name]) => html`<option value=${who} .selected=${route.who === who}>${name}</option>`)}
      </select></div>
      ${route.prefix ? html`<button type="button" class="small" @click=${() => go({ prefix: "" })}>in <span class="mono">${route.prefix}</span> <span aria-hidden="true">×</span><span class="vh">Show all folders</span></button>` : nothing}
      ${before && (away > 0 || route.away) ? html`<button type="button" class="small away" aria-pressed=${String(route.away !== null)} @click=${() => go({ away: route.away ? null : "1" })}>${away} while you were away</button>` : nothing}
    </div>`
}

/** @param {ActivityModel} feed */
function fresh(feed) {
  if (feed.fresh === 0 || !isHeld()) return nothing
  const show = () => {
    pageElement().scrollTo({ top: 0 })
    scrollTo({ top: 0 })
    feed.show()
  }
  return html`<button type="button" class="primary small" @click=${show}>${feed.fresh.toLocaleString("en")} new<span class="vh"> changes</span> · show</button>`
}

/** @param {DashboardModel} model @param {ActivityModel} feed */
function days(model, feed, items) {
  const days = []
  for (const item of items) {
    const day = new Date(item.write.at).toDateString()
    if (days.at(-1)?.day === day) days.at(-1).items.push(item)
    else days.push({ day, items: [item] })
  }
  const { before } = feed
  const border = before && items.find(({ write }) => write.revision <= before.revision)?.write.revision
  const isNew = items[0]?.write.revision !== border
  return days.map(
    ({ day, items }) => html`
      <h2 class="day">${dayName(day, model.now())}</h2>
      <ol class="writes">
        ${repeat(
          items,
          ({ write }) => write.revision,
          (item) =>
            html`${before && isNew && item.write.revision === border ? html`<li class="seen"><span>You looked here ${ago(new Date(before.at).toISOString(), model.now())}</span></li>` : nothing}${row(model, feed, item)}`,
        )}
      </ol>`,
  )
}

/** @param {number} now */
function dayName(day, now) {
  if (day === new Date(now).toDateString()) return "Today"
  if (day === new Date(now - 86_400_000).toDateString()) return "Yesterday"
  return new Date(day).toLocaleDateString(undefined, {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  })
}

/** @param {DashboardModel} model @param {ActivityModel} feed */
function row(model, feed, { write, kinds, matching }) {
  const { revision, at, undoes } = write
  const { name, note } = authorOf(model.kv, write)
  const can = feed.standsStill(write) && model.kv.state === "live"
  const one = kinds.length === 1
  return html`
    <li class="write">
      <span class="no mono"><span class="vh">Revision </span>${revision}</span>
      <div class="done">${one ? changeLine(kinds[0], revision) : bulkLine(model.page, feed, write, kinds)}${undoes ? html` <span class="dim undoes">undo of ${undoes}</span>` : nothing}</div>
      <span class="by">${name}${note ? html` <span class="dim">${note}</span>` : nothing}</span>
      <time datetime=${at} title=${moment(at)}>${timeOfDay(Date.parse(at))}</time>
      <span class="act">${can ? html`<button type="button" class="small" @click=${() => model.undo.take(nameOf(kinds), [revision])}>Undo<span class="vh"> revision ${revision}</span></button>` : nothing}</span>
      ${!one && feed.opened.has(revision) ? opened(matching, kinds, revision) : nothing}
    </li>`
}

function changeLine({ op, kind }, revision) {
  return html`${kindView(kind)} <a class="mono" href=${historyPath(op.key, revision)}>${keyText(op.key)}</a> ${op.op === "set" ? html`<span class="v mono">${preview(op.value)}</span>` : nothing}`
}

/** @param {Page} page @param {ActivityModel} feed */
function bulkLine(page, feed, { revision }, kinds) {
  const open = feed.opened.has(revision)
  const folder = folderOf(kinds.map(({ op }) => op.key))
  const toggle = () => {
    if (!feed.opened.delete(revision)) feed.opened.add(revision)
    page.redraw()
  }
  return html`<button type="button" class="opener" aria-expanded=${String(open)} aria-controls=${`keys-${revision}`} @click=${toggle}>${summaryOf(kinds)}</button>${folder ? html` <span class="dim">in</span> <span class="mono folder">${folder}</span>` : nothing}`
}

/** @param {number} revision */
function opened(matching, kinds, revision) {
  const others = kinds.length - Math.min(matching.length, MOST_KEYS)
  return html`
    <ul class="ops" id=${`keys-${revision}`}>
      ${matching.slice(0, MOST_KEYS).map((kind) => html`<li>${changeLine(kind, revision)}</li>`)}
      ${others > 0 ? html`<li class="dim">and ${others.toLocaleString("en")} ${others === 1 ? "other" : "others"}</li>` : nothing}
    </ul>`
}

function nameOf(kinds) {
  if (kinds.length > 1) return summaryOf(kinds)
  const [{ op, kind }] = kinds
  return html`${kind[0].toUpperCase() + kind.slice(1)} <b class="mono">${keyText(op.key)}</b>`
}

/** @param {ActivityModel} feed @param {Route} route */
function ending(feed, route, items) {
  const { writes } = feed
  if (!writes.loaded) return nothing
  if (writes.list.length === 0)
    return html`<div class="empty"><h2>Nothing has happened yet</h2><p>Whatever is written to your keys, from here or elsewhere, stands here from then on.</p><a class="button primary" href="/keys">To the keys</a></div>`
  const hidden = items.length > feed.visible
  if (hidden || !isFiltered(route))
    return html`${older(writes, hidden, () => feed.showOlder())} ${hidden ? nothing : endOf(writes)}`
  const through = html`Looked through ${writes.list.length.toLocaleString("en")} ${writes.list.length === 1 ? "change" : "changes"}, back to ${moment(writes.list.at(-1).at)}.`
  return html`
    <div class="empty">
      ${items.length === 0 && (writes.ended || feed.paused) ? html`<p>No change matches.</p>` : nothing}
      <p class="end-of-past">${through}</p>
      ${feed.paused ? html`<button type="button" @click=${() => feed.lookFurther()}>Look further back</button>` : nothing}
    </div>`
}

/**
 * Load the ids of the user's API tokens. Writes of deleted tokens count as other devices, unless they came over HTTP.
 * @param {ActivityModel} feed
 * @param {Page} page
 */
async function learnTokens(feed, page) {
  try {
    const { tokens } = await (await fetch("/api/v1/tokens", { headers: { Accept: "application/json" } })).json()
    feed.tokens = new Set(tokens.map(({ id }) => id))
    page.redraw()
  } catch {
    // then only writes over HTTP are attributed to tokens
  }
}
