// The dashboard's page: creates the client and the model, draws at most once per frame, and manages the state that
// belongs to the page: its address, title and focus.
// Longer than 320 lines: it connects every part of the page.

import { Client } from "../client/client.js"
import { onSetting, setting } from "../lib/settings.js"
import { html, render } from "../vendor/lit-html/lit-html.js"
import { listen, perform } from "./commands/keyboard.js"
import { COMMANDS } from "./commands/registry.js"
import { DashboardModel } from "./dashboard-model.js"
import { List } from "./list/list-view.js"
import { NOTHING, read, write } from "./route.js"
import { call, later, once } from "./shared/lazy.js"
import { ConnectionBadge } from "./shell/connection-badge.js"
import { keepDrafts, takeDrafts } from "./shell/kept-drafts.js"
import { empty } from "./shell/session-ended.js"
import { isFailedImport, Update } from "./shell/update.js"

/** @import { Route } from "./route.js" */

/** @import { Command } from "./commands/registry.js" */

const TITLES = { keys: "Keys", activity: "Activity", trash: "Trash" }
// Lazily loaded pages; each module exports `view(model, route)`.
const LATER = { activity: () => import("./history/activity-page.js"), trash: () => import("./history/trash-page.js") }

const NOTHING_OPEN = html`
  <div class="nothing-open">
    <p>Choose a key to see its value,<br>or press <kbd>n</kbd> for a new one.</p>
  </div>`

const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))

const made = JSON.parse(at("page").textContent ?? "")
const kv = new Client({ user: made.username, keep: kept() === made.username, build: made.build })
const announcer = once(async () => {
  const { Announcer } = await import("./shell/live-announcer.js")
  return new Announcer(at("polite"), at("assertive"), () => setting("announcements"))
})
const toasts = once(async () => {
  const { Toasts } = await import("./shell/toasts.js")
  drawnToasts = new Toasts(redraw, (id) => page.focus(id))
  return drawnToasts
})
/** @typedef {typeof page} Page */
const page = {
  username: made.username,
  limits: made.limits,
  route: read(location.href),
  go,
  moved,
  redraw,
  draw: drawNow,
  say: call(announcer, "say", failed),
  alert: call(announcer, "alert", failed),
  news: call(announcer, "changed", failed),
  toast: call(toasts, "show", failed),
  /** @type {(where: string, key?: string) => void} */
  focus: (where, key) => (wanted = { where, key, from: document.activeElement }),
  copy: async (text, what) =>
    page.toast((await (await clipboard()).copy(text)) ? `${what} copied` : "The browser did not let us copy"),
  can: (name) => COMMANDS.some((command) => command.name === name),
  run: (/** @type {string} */ name) => run(name),
  dialogs: at("dialogs"),
  trashDays: made.trash_days,
  signedOut: () => signedOut(kv.pending),
  failedToLoad: failed,
}
const model = new DashboardModel(kv, page)
const list = new List(at("list"), model)
const pill = new ConnectionBadge(at("conn"), at("status"), model)
const update = new Update(at("update"), model, (kept) => leaving?.letGo(kept))

/** @type {import("./shell/toasts.js").Toasts | undefined} */
let drawnToasts
/** @type {{ where: string, key?: string, from: Element | null } | null} */
let wanted = null // the pending focus move {where, key, from}; it waits for its target while the focus is at from
/** @type {string | null} */
let toShow = null // key of the row to scroll into view, once there are rows
let place = history.state // the list position to restore once there are rows
let keeping = 0 // timer until the history entry is updated
let frame = 0
/** @type {Record<string, any>} */
const views = {} // views of the pages that have been loaded

/** @param {string} name */
function run(name) {
  perform(/** @type {Command} */ (COMMANDS.find((command) => command.name === name)), model)
}

function failed(error) {
  update.failedToLoad(error)
}

function redraw() {
  frame ||= requestAnimationFrame(draw)
}

function drawNow() {
  cancelAnimationFrame(frame)
  draw()
}

function draw() {
  frame = 0
  if (over) return pill.draw()
  const { route } = page
  at("main").dataset.page = route.page
  at("main").dataset.pane = model.opened.open || model.opened.fresh ? "key" : "list"
  if (route.page === "keys") drawKeys()
  else drawOther(route)
  drawnToasts?.draw(at("toasts"))
  pill.draw()
  hint()
  if (wanted) moveFocus(wanted)
}

// --- modules not needed for the first draw ---

const SOON = 1_500
const detail = later(() => import("./key/detail-pane.js"), redraw, failed)
const clipboard = () => import("../lib/clipboard.js")
/** @type {() => void} */
let hint = () => {}
/** @type {import("./shell/unload-guard.js").UnloadGuard | null} */
let leaving = null
let over = false // the session has ended

/** Load the remaining modules a little later. */
const rest = once(async () => {
  const loaded = await import("./load-rest.js")
  const user = made.kept ? made.username : null
  const begin = await loaded.loadRest(model, list, { user, before: kept(), others: [announcer(), toasts()] })
  if (leaving) return
  ;({ leaving, hint } = begin(at("signout")))
  at("main").dataset.loaded = "all"
  redraw()
})
const loadRest = () => rest().catch(failed)

async function signedOut(pending) {
  over = true
  empty(at)
  // read before queued writes are rejected: rejected writes become drafts again, but the client keeps them anyway
  const records = model.opened.records ?? []
  // continue after the client knows which writes it keeps
  await null
  leaving ??= await import("./shell/unload-guard.js").then(
    ({ UnloadGuard }) => new UnloadGuard(model, at("signout")),
    () => null,
  )
  if (leaving) return leaving.signedOut(pending, records)
  // the dialog with the reason could not be loaded
  keepDrafts(made.username, records)
  return location.assign("/signin")
}

/** Hold back a sign-out until `UnloadGuard`, which asks about unsaved text, is loaded. */
async function holdUp(event) {
  if (leaving) return
  event.preventDefault()
  const { target: form } = event
  await loadRest()
  if (!leaving) form.removeEventListener("submit", holdUp)
  form.requestSubmit()
}

at("signout").addEventListener("submit", holdUp)

/** Return the username whose state this browser keeps, or null. */
function kept() {
  try {
    return localStorage.getItem("kept for")
  } catch {
    return null
  }
}

for (const begun of ["restored", "state"])
  kv.addEventListener(begun, () => kv.state !== "catching up" && setTimeout(loadRest, SOON))

function drawKeys() {
  list.draw()
  render(detailView(), at("detail"))
  if (!model.synced) return
  if (place?.ticked) list.place = place
  else if (toShow !== null) showRow()
  place = toShow = null
}

function detailView() {
  const { open, fresh, load } = model.opened
  // nothing can be open while the stub that has `load` is in place
  const view = load ? null : detail()?.detailView(model)
  return view ?? (open || fresh ? html`<div class="nothing-open" aria-busy="true"></div>` : NOTHING_OPEN)
}

/** @param {Route} route */
function drawOther(route) {
  at("other").ariaLabel = TITLES[route.page]
  const view = views[route.page]
  if (view) {
    at("other").querySelector(":scope > .awaited")?.remove()
    render(view(model, route), at("other"))
  } else if (view === undefined) loadOther(route.page)
}

/** @param {string} name */
async function loadOther(name) {
  views[name] = null
  try {
    views[name] = (await LATER[name]()).view
  } catch (error) {
    page.failedToLoad(error)
    const again = () => loadOther(name)
    views[name] = () =>
      html`<h1>${TITLES[name]}</h1><div class="problem"><p>This page could not be loaded.</p><button type="button" @click=${again}>Try again</button></div>`
  }
  redraw()
}

function showRow() {
  list.show(/** @type {string} */ (toShow))
  redraw()
}

/** @param {NonNullable<typeof wanted>} target */
function moveFocus({ where, key, from }) {
  const id =
    { detail: "detail-heading", editor: "editor", new: "new-key", "new value": "editor", filter: "filter" }[where] ??
    where
  // the target is still loading, and the user has not moved the focus elsewhere meanwhile
  if (where !== "list" && !at(id) && [from, document.body].includes(document.activeElement)) return
  wanted = null
  if (where === "list") return list.focusRow(key)
  at(id)?.focus({ preventScroll: !list.narrow })
  if (list.narrow) scrollTo(0, 0)
}

/** Restore the unsaved text that this tab held before a sign-out or a reload. */
async function restoreDrafts(records) {
  if (records.length === 0) return
  try {
    await model.opened.load?.()
  } catch (error) {
    // keep the drafts for the next page of this tab
    keepDrafts(made.username, records)
    return page.failedToLoad(error)
  }
  model.opened.resume(records)
}

// --- the address ---

/** Navigate. Properties that `changes` does not name keep their value, or reset to the default on a different page. */
function go(changes, { replace = false, soon = false } = {}) {
  const elsewhere = changes.page !== undefined && changes.page !== page.route.page
  const path = write({ ...(elsewhere ? NOTHING : page.route), ...changes })
  if (path === write(page.route)) return
  if (soon) moved()
  else {
    if (!replace) keepPlace()
    history[replace ? "replaceState" : "pushState"](replace ? history.state : null, "", path)
  }
  follow(read(location.origin + path))
}

/**
 * Store the list position, and an address that changes with every keystroke, in the history entry. Delayed, because
 * browsers limit how often a page may do so.
 */
function moved() {
  clearTimeout(keeping)
  keeping = setTimeout(keepPlace, 300)
}

function keepPlace() {
  clearTimeout(keeping)
  if (over) return
  history.replaceState(page.route.page === "keys" ? list.place : history.state, "", write(page.route))
}

/** @param {Route} route */
function follow(route) {
  page.route = route
  const { key, page: name } = page.route
  document.title = [...(key === null ? [] : [key]), TITLES[name], "realtime_kv"].join(" · ")
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("nav a"))) {
    if (link.pathname === `/${name}`) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
  }
  model.follow(page.route)
}

/** Navigate between the pages of the dashboard without loading a document. */
document.addEventListener("click", (/** @type {any} */ event) => {
  const link = event.target.closest?.("a[href]")
  if (!link || link.target || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
    return
  if (link.origin !== location.origin || !Object.keys(TITLES).some((name) => link.pathname === `/${name}`)) return
  event.preventDefault()
  go({ ...NOTHING, ...read(link.href) })
})

// --- keys ---

listen(COMMANDS, model)
for (const button of /** @type {NodeListOf<any>} */ (document.querySelectorAll("[data-run]"))) {
  button.parentElement.hidden = false
  button.addEventListener("click", () => {
    at("menu").hidePopover()
    run(button.dataset.run)
  })
}

at("detail").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return
  model.opened.close()
  // draw at once, because the next key press is for the list
  drawNow()
})

addEventListener("popstate", ({ state }) => {
  clearTimeout(keeping)
  place = state
  follow(read(location.href))
})
addEventListener("pagehide", keepPlace)
// a module that is loaded when a button is pressed reports its failure nowhere else
addEventListener("unhandledrejection", ({ reason }) => isFailedImport(reason) && update.failedToLoad(reason))
onSetting(redraw)
at("detail").replaceChildren()
restoreDrafts(takeDrafts(made.username))
toShow = page.route.key
if (toShow !== null) detail()
follow(page.route)
redraw()
// Update the ages on the page, and drop expired change highlights.
setInterval(() => {
  model.browse.marks.sweep(Date.now())
  if (!document.hidden) redraw()
}, 1_000)
document.addEventListener("visibilitychange", redraw)
