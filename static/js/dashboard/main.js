// The dashboard's page: makes the client and the desk, draws at most once a frame, and looks after what only the page
// has: its address, its title, its focus.

import { html, render } from "../vendor/lit-html/lit-html.js"
import { Client } from "../client.js"
import { COMMANDS, loadPalette } from "./commands/registry.js"
import { listen, perform } from "./commands/keyboard.js"
import { Desk } from "./desk.js"
import { List } from "./list/list.js"
import { NOTHING, read, write } from "./route.js"
import { keepDrafts, takeDrafts } from "./shell/kept-drafts.js"
import { empty } from "./shell/ended.js"
import { call, later, once } from "./shared/later.js"
import { onSetting, setting } from "../settings.js"
import { Pill } from "./shell/pill.js"
import { Update, isFailedImport } from "./shell/update.js"

const TITLES = { keys: "Keys", activity: "Activity", trash: "Trash" }
// Pages that are loaded when they are first looked at; each module exports `view(desk, route)`.
const LATER = { activity: () => import("./past/activity.js"), trash: () => import("./past/trash.js") }

const NOTHING_OPEN = html`
  <div class="nothing-open">
    <p>Choose a key to see its value,<br>or press <kbd>n</kbd> for a new one.</p>
  </div>`

const at = (id) => document.getElementById(id)

const made = JSON.parse(at("page").textContent)
const kv = new Client({ user: made.username, keep: kept() === made.username, build: made.build })
const announcer = once(async () => {
  const { Announcer } = await import("./shell/announce.js")
  return new Announcer(at("polite"), at("assertive"), () => setting("announcements"))
})
const toasts = once(async () => {
  const { Toasts } = await import("./shell/toasts.js")
  return (drawnToasts = new Toasts(redraw, (id) => page.focus(id)))
})
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
  focus: (where, key) => (wanted = { where, key, from: document.activeElement }),
  copy: async (text, what) => page.toast((await (await clipboard()).copy(text)) ? `${what} copied` : "The browser did not let us copy"),
  can: (name) => COMMANDS.some((command) => command.name === name),
  run: (name) => perform(COMMANDS.find((command) => command.name === name), desk),
  dialogs: at("dialogs"),
  trashDays: made.trash_days,
  signedOut: () => signedOut(kv.pending),
  failedToLoad: failed,
}
const desk = new Desk(kv, page)
const list = new List(at("list"), desk)
const pill = new Pill(at("conn"), at("status"), desk)
const update = new Update(at("update"), desk, () => leaving?.letGo())

let drawnToasts = null
let wanted = null // where the focus goes `from` where it was, with the next drawing that has it: {where, key, from}
let toShow = null // the key of the row to bring into view, once there are rows
let place = history.state // in the list, to be restored once there are rows
let keeping = 0 // a timer, until the history entry is brought up to date
let frame = 0
const views = {} // of the pages that have been loaded

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
  at("main").dataset.pane = desk.opened.open || desk.opened.fresh ? "key" : "list"
  if (route.page === "keys") drawKeys()
  else drawOther(route)
  drawnToasts?.draw(at("toasts"))
  pill.draw()
  hint()
  if (wanted) moveFocus()
}

// --- what is not needed at first sight ---

const SOON = 1_500
const detail = later(() => import("./key/detail.js"), redraw, failed)
const clipboard = () => import("../clipboard.js")
let hint = () => {}
let leaving = null
let over = false // the session has ended

/** Loaded a little later, so that it is there when there is no network any more. */
const rest = once(() => {
  const ours = [import("./shell/leaving.js"), import("./shell/offline.js"), import("./commands/hints.js"), import("./shell/status.js")]
  const others = [loadPalette(), clipboard(), announcer(), toasts(), list.loadRest(), desk.undo.load(), desk.opened.load?.(), import("./key/detail.js").then(({ prepare }) => prepare(desk))]
  return Promise.all([...ours, ...others]).then(begin)
})
const loadRest = () => rest().catch(failed)

function begin([{ Leaving }, { keepHere, keepNothing }, hints]) {
  if (leaving) return
  leaving = new Leaving(desk, at("signout"))
  hint = () => hints.hint(COMMANDS)
  at("main").dataset.loaded = "all"
  redraw()
  // where one does not stay signed in, nothing stays behind, of an earlier session neither
  if (made.kept) keepHere(kv, made.username).catch(() => {})
  else if (kept() !== null) keepNothing(kv).catch(() => {})
}

async function signedOut(pending) {
  over = true
  empty(at)
  // before writes that wait are refused: then they are drafts again, which the client keeps anyway
  const records = desk.opened.records ?? []
  // and after the client knows what it keeps
  await null
  leaving ??= await import("./shell/leaving.js").then(({ Leaving }) => new Leaving(desk, at("signout")), () => null)
  if (leaving) return leaving.signedOut(pending, records)
  // what says why could not be loaded
  keepDrafts(made.username, records)
  return location.assign("/signin")
}

/** Who leaves before that has come waits for it: it asks about what is not saved. */
async function holdUp(event) {
  if (leaving) return
  event.preventDefault()
  const { target: form } = event
  await loadRest()
  if (!leaving) form.removeEventListener("submit", holdUp)
  form.requestSubmit()
}

at("signout").addEventListener("submit", holdUp)

/** Whose state this browser keeps. */
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
  if (!desk.synced) return
  if (place?.ticked) list.place = place
  else if (toShow !== null) showRow()
  place = toShow = null
}

function detailView() {
  const { open, fresh, load } = desk.opened
  // before that is loaded, nothing can be open
  const view = load ? null : detail()?.detailView(desk)
  return view ?? (open || fresh ? html`<div class="nothing-open" aria-busy="true"></div>` : NOTHING_OPEN)
}

function drawOther(route) {
  at("other").ariaLabel = TITLES[route.page]
  const view = views[route.page]
  if (view) {
    at("other").querySelector(":scope > .awaited")?.remove()
    render(view(desk, route), at("other"))
  } else if (view === undefined) loadOther(route.page)
}

async function loadOther(name) {
  views[name] = null
  try {
    views[name] = (await LATER[name]()).view
  } catch (error) {
    page.failedToLoad(error)
    const again = () => loadOther(name)
    views[name] = () => html`<h1>${TITLES[name]}</h1><div class="problem"><p>This page could not be loaded.</p><button type="button" @click=${again}>Try again</button></div>`
  }
  redraw()
}

function showRow() {
  list.show(toShow)
  redraw()
}

function moveFocus() {
  const { where, key, from } = wanted
  const id = { detail: "detail-heading", editor: "editor", new: "new-key", "new value": "editor", filter: "filter" }[where] ?? where
  // it is still being loaded, and nobody has gone elsewhere meanwhile
  if (where !== "list" && !at(id) && [from, document.body].includes(document.activeElement)) return
  wanted = null
  if (where === "list") return list.focusRow(key)
  at(id)?.focus({ preventScroll: !list.narrow })
  if (list.narrow) scrollTo(0, 0)
}

/** Unsaved text of this tab, from before it was signed out or loaded again. */
async function restoreDrafts(records) {
  if (records.length === 0) return
  try {
    await desk.opened.load?.()
  } catch (error) {
    // the next page of this tab has them
    keepDrafts(made.username, records)
    return page.failedToLoad(error)
  }
  desk.opened.resume(records)
}

// --- the address ---

/** Shows another place; what `changes` does not name stays as it is, or begins anew on another page. */
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

/** The place in the list goes with the history entry, and so does an address that changes with every letter; not at once, as browsers limit that. */
function moved() {
  clearTimeout(keeping)
  keeping = setTimeout(keepPlace, 300)
}

function keepPlace() {
  clearTimeout(keeping)
  if (over) return
  history.replaceState(page.route.page === "keys" ? list.place : history.state, "", write(page.route))
}

function follow(route) {
  page.route = route
  const { key, page: name } = page.route
  document.title = [...(key === null ? [] : [key]), TITLES[name], "realtime_kv"].join(" · ")
  for (const link of document.querySelectorAll("nav a")) {
    if (link.pathname === `/${name}`) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
  }
  desk.follow(page.route)
}

/** The pages of the dashboard are one: going from one to the other loads nothing anew. */
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]")
  if (!link || link.target || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  if (link.origin !== location.origin || !Object.keys(TITLES).some((name) => link.pathname === `/${name}`)) return
  event.preventDefault()
  go({ ...NOTHING, ...read(link.href) })
})

// --- keys ---

listen(COMMANDS, desk)
for (const button of document.querySelectorAll("[data-run]")) {
  button.parentElement.hidden = false
  button.addEventListener("click", () => {
    at("menu").hidePopover()
    perform(COMMANDS.find(({ name }) => name === button.dataset.run), desk)
  })
}

at("detail").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return
  desk.opened.close()
  // the next key is for the list
  drawNow()
})

addEventListener("popstate", ({ state }) => {
  clearTimeout(keeping)
  place = state
  follow(read(location.href))
})
addEventListener("pagehide", keepPlace)
// what is loaded when a button is pressed says so nowhere else
addEventListener("unhandledrejection", ({ reason }) => isFailedImport(reason) && update.failedToLoad(reason))
onSetting(redraw)
at("detail").replaceChildren()
restoreDrafts(takeDrafts(made.username))
toShow = page.route.key
if (toShow !== null) detail()
follow(page.route)
redraw()
// Ages grow, and news gets old.
setInterval(() => {
  desk.browse.marks.sweep(Date.now())
  if (!document.hidden) redraw()
}, 1_000)
document.addEventListener("visibilitychange", redraw)
