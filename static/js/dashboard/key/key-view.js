// The view of an open key: its header and its tabs, value, history and usage snippets.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { stylesheet } from "../shared/load-stylesheet.js"
import { ago } from "../shared/time-format.js"
import { conflictBanner } from "./conflict-banner.js"
import { editorView } from "./editor.js"
import { backButton, headView } from "./key-header.js"
import { metaView } from "./metadata-view.js"
import { EditingPresence } from "./model/editing-presence.js"
import { valueView } from "./value-view.js"

/**
 * @import { DashboardModel } from "../dashboard-model.js"
 * @import { Page } from "../main.js"
 * @import { Showing } from "./model/open-key.js"
 */

export { freshView } from "./new-key-form.js"

await stylesheet("/static/css/key.css")

const TABS = { value: "Value", history: "History", use: "Use it" }
// Lazily loaded tabs: (model, key, route) → view.
const LATER = {
  history: async () => (await import("../history/history-tab.js")).historyView,
  use: async () => {
    const { useItView } = await import("../snippets/snippets-tab.js")
    return ({ kv }, key) => useItView({ key, value: kv.entry(key)?.value })
  },
}
/** @type {Record<string, any>} */
const panels = {} // the loaded views, or "failed"

/** @type {EditingPresence | undefined} */
let elsewhere

/**
 * Tell other tabs which keys are being edited here, independent of the current view.
 * @param {Page} page
 */
export function tellOthers(page, edited) {
  elsewhere ??= new EditingPresence(page.username, page.redraw)
  elsewhere.editing(edited)
}

/** @param {DashboardModel} model */
export function openView(model) {
  const { page } = model
  const opened = /** @type {Showing} */ (model.opened)
  const { open } = opened
  const { tab } = model.route
  if (open.answer.refusal)
    return html`${backButton(opened)}${headView(opened, page)}<p class="problem" id="answer">${open.answer.refusal.message}</p>`
  return html`
    ${backButton(opened)} ${headView(opened, page)} ${tabList(page, tab, open.draft.base?.version)}
    <div role="tabpanel" id="panel" aria-labelledby=${`tab-${tab}`} class=${`panel of-${tab}`}>
      ${tab === "value" ? valuePanel(model) : laterPanel(model, tab)}
    </div>`
}

/** @param {Page} page */
function tabList(page, current, version) {
  return html`
    <div class="tabs" role="tablist" aria-label="About this key" @keydown=${(event) => arrowed(event, page, current)}>
      ${Object.entries(TABS).map(
        ([tab, title]) => html`
          <button type="button" role="tab" id=${`tab-${tab}`} aria-controls="panel" aria-selected=${String(tab === current)} tabindex=${tab === current ? 0 : -1}
            @click=${() => show(page, tab)}>${title}${tab === "history" && version > 1 ? html` <span class="count">${version.toLocaleString("en")}<span class="vh"> versions</span></span>` : nothing}</button>`,
      )}
    </div>`
}

/** @param {Page} page */
function show(page, tab) {
  page.go({ tab, from: null, to: null })
}

/**
 * Move from tab to tab with the arrow keys, as the APG describes.
 * @param {Page} page
 */
function arrowed(event, page, tab) {
  const names = Object.keys(TABS)
  const at = names.indexOf(tab)
  const to = {
    ArrowRight: (at + 1) % names.length,
    ArrowLeft: (at + names.length - 1) % names.length,
    Home: 0,
    End: names.length - 1,
  }[event.key]
  if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return
  event.preventDefault()
  show(page, names[to])
  page.focus(`tab-${names[to]}`)
}

/** @param {DashboardModel} model */
function laterPanel(model, tab) {
  const view = panels[tab]
  if (typeof view === "function") return view(model, model.opened.open?.key, model.route)
  if (view === undefined) loadPanel(model.page, tab)
  if (view !== "failed") return html`<p class="hint late">Loading…</p>`
  return html`<p class="problem">This could not be loaded. <button type="button" class="link" @click=${() => loadPanel(model.page, tab)}>Try again</button></p>`
}

/** @param {Page} page */
async function loadPanel(page, tab) {
  panels[tab] = null
  try {
    panels[tab] = await LATER[tab]()
  } catch (error) {
    page.failedToLoad(error)
    panels[tab] = "failed"
  }
  page.redraw()
}

/** @param {DashboardModel} model */
function valuePanel(model) {
  const { page } = model
  const opened = /** @type {Showing} */ (model.opened)
  const { open } = opened
  const { key, draft, answer } = open
  const exists = draft.base !== null
  if (!exists && answer.asking && !model.synced) return nothing
  const editing = open.editing || !exists
  return html`
    ${conflictBanner(opened, page, model.now())} ${missing(opened, model.now())}
    ${elsewhere?.has(key) ? html`<p class="elsewhere" id="elsewhere">Also open for editing in another tab of this browser.</p>` : nothing}
    ${editing ? editorView(model, open) : valueView(opened, page)}
    ${exists ? metaView(open, model.now()) : nothing}`
}

/** @param {Showing} opened @param {number} now */
function missing(opened, now) {
  const { key, draft, answer } = opened.open
  if (!answer.missing || draft.base !== null || draft.conflict) return nothing
  if (!answer.deleted_at)
    return html`<p class="answer" id="answer">There is no such key. Saving a value creates it.</p>`
  return html`
    <div class="answer gone" id="answer">
      <p>There is no such key. It was deleted ${ago(answer.deleted_at, now)}.</p>
      <button type="button" @click=${() => opened.restore(key)}>Restore</button>
    </div>`
}
