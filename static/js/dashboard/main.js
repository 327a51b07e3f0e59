// The dashboard's page: makes the client and the desk, draws at most once a frame, and looks after what only the page
// has: its address, its title, its focus.

import { html, render } from "../vendor/lit-html/lit-html.js"
import { Client } from "../client.js"
import { copy } from "../clipboard.js"
import { Announcer } from "./announce.js"
import { Desk } from "./desk.js"
import { detailView } from "./detail.js"
import { askBeforeSigningOut, showShortcuts, showSignedOut } from "./dialogs.js"
import { List, narrow } from "./list.js"
import { keyText } from "./pieces.js"
import { listen } from "./shortcuts.js"
import { Toasts } from "./toasts.js"

const TITLE = "Keys · realtime_kv"
const at = (id) => document.getElementById(id)

const page = JSON.parse(at("page").textContent)
const kv = new Client({ user: page.username })
const announcer = new Announcer(at("polite"), at("assertive"))
const toasts = new Toasts(redraw)
const desk = new Desk(kv, {
  redraw,
  navigate,
  focus: (where, key) => (wanted = { where, key }),
  say: (text) => announcer.say(text),
  alert: (text) => announcer.alert(text),
  toast: (text) => toasts.show(text),
  deleted: (key, undo) => toasts.show(html`Deleted <b class="mono">${keyText(key)}</b>`, { label: "Undo", run: undo }),
  signedOut,
})
const list = new List(at("list"), desk, { redraw, say: (text) => announcer.say(text) })
const STATES = { live: "Live", "catching up": "Catching up", offline: "Offline", "signed out": "Signed out" }

let wanted = null // where the focus goes with the next drawing: {where, key}
let toShow = null // the key of the row to bring into view, once there are rows
let frame = 0

function redraw() {
  frame ||= requestAnimationFrame(draw)
}

function draw() {
  frame = 0
  at("main").dataset.pane = desk.open || desk.fresh ? "key" : "list"
  list.draw()
  render(detailView(desk, actions), at("detail"))
  render(toasts.view, at("toasts"))
  drawState()
  if (toShow !== null && desk.synced) showRow()
  if (wanted) moveFocus()
}

function showRow() {
  list.show(toShow)
  toShow = null
  redraw()
}

function drawState() {
  const { state, tabs } = kv
  at("conn").dataset.state = state
  const many = state === "live" && tabs ? html`<span class="tabs-text"> · ${tabs.length} ${tabs.length === 1 ? "tab" : "tabs"}</span>` : ""
  render(html`${STATES[state]}${many}`, at("conn-text"))
}

const actions = {
  copyValue: async () => toasts.show((await copy(desk.open.draft.text)) ? "Value copied" : "The browser did not let us copy"),
  copyLink: async () => toasts.show((await copy(location.href)) ? "Link copied" : "The browser did not let us copy"),
}

function moveFocus() {
  const { where, key } = wanted
  wanted = null
  if (where === "list") return list.focusRow(key)
  const id = { detail: "detail-heading", editor: "editor", new: "new-key", "new value": "editor" }[where]
  at(id)?.focus({ preventScroll: !narrow() })
  if (narrow()) scrollTo(0, 0)
}

// --- the address ---

function navigate(key) {
  const address = new URL(location.href)
  address.search = key === null ? "" : `?key=${encodeURIComponent(key)}`
  if (address.href !== location.href) history.pushState(null, "", address)
  retitle(key)
}

function retitle(key) {
  document.title = key === null ? TITLE : `${key} · ${TITLE}`
}

function followAddress() {
  const key = new URLSearchParams(location.search).get("key")
  retitle(key)
  toShow = key
  if (key !== null) desk.openKey(key, { navigate: false, focus: false })
  else if (desk.open) desk.close({ navigate: false })
}

// --- leaving ---

let leaving = false // we have asked, and may go

function signedOut() {
  showSignedOut(at("dialogs"), kv.reason, unsaved())
}

/** What would be lost with this tab: texts being edited, and writes that wait to be sent or acknowledged. */
function unsaved() {
  const waiting = kv.pending.flatMap(({ verb, payload }) => {
    if (verb === "set") return [{ key: payload.key, text: JSON.stringify(payload.value) }]
    return verb === "delete" ? [{ key: payload.key, text: "(to be deleted)" }] : []
  })
  const edited = desk.unsaved
  return [...edited, ...waiting.filter(({ key }) => !edited.some((other) => other.key === key))]
}

at("signout").addEventListener("submit", (event) => {
  const losing = unsaved()
  if (losing.length === 0 || kv.state === "signed out" || leaving) return
  event.preventDefault()
  askBeforeSigningOut(at("dialogs"), losing, () => {
    leaving = true
    event.target.requestSubmit()
  })
})

addEventListener("beforeunload", (event) => {
  const losing = desk.unsaved.length > 0 || kv.pending.length > 0
  if (losing && kv.state !== "signed out" && !leaving) event.preventDefault()
})

// --- keys ---

listen((name) => {
  if (name === "filter") list.focusFilter()
  if (name === "new") desk.startNew()
  if (name === "edit") at("editor")?.focus()
  if (name === "save" && (desk.open || desk.fresh)) desk.save()
  if (name === "help") showShortcuts(at("dialogs"))
})

at("detail").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) desk.close()
})

addEventListener("popstate", followAddress)
for (const id of ["detail", "conn-text"]) at(id).replaceChildren()
followAddress()
redraw()
// Ages grow, and news gets old.
setInterval(() => {
  desk.marks.sweep(Date.now())
  if (!document.hidden) redraw()
}, 1_000)
document.addEventListener("visibilitychange", redraw)
