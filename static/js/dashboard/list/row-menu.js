// The context menu of a row, for a key or folder. On a small screen it opens at the bottom.

import { html, render } from "../../vendor/lit-html/lit-html.js"
import { download, remove } from "./actions.js"
import { folderOf, folderRow } from "./model/tree.js"
import { duplicate, moveFolder, rename } from "./move-dialog.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

/**
 * Open the menu beside `button`; `back()` restores the focus unless an action has moved it.
 * @param {DashboardModel} model
 * @param {string} id
 */
export function openMenu(model, id, button, back) {
  const folder = folderOf(id)
  const menu = Object.assign(document.createElement("div"), { className: "menu", popover: "auto" })
  menu.setAttribute("role", "menu")
  menu.setAttribute("aria-label", folder ?? id)
  const items = folder === null ? ofKey(model, id) : ofFolder(model, folder)
  const chosen = (run) => () => {
    menu.hidePopover()
    run()
  }
  render(
    items.map(
      ([label, run, kind = ""]) =>
        html`<button type="button" role="menuitem" tabindex="-1" class=${kind} @click=${chosen(run)}>${label}</button>`,
    ),
    menu,
  )
  menu.addEventListener("keydown", (event) => moved(event, menu))
  menu.addEventListener("toggle", ({ newState }) => {
    if (newState === "open") return
    button.setAttribute("aria-expanded", "false")
    if (menu.contains(document.activeElement) || document.activeElement === document.body) back()
    menu.remove()
  })
  button.closest("main").append(menu)
  button.setAttribute("aria-expanded", "true")
  menu.showPopover()
  put(menu, button)
  menu.querySelector("button")?.focus({ preventScroll: true })
}

/** @param {DashboardModel} model @param {string} key */
function ofKey(model, key) {
  const { opened, page, kv } = model
  return [
    ["Open", () => opened.openKey(key)],
    ["Rename…", () => rename(model, key)],
    ["Duplicate…", () => duplicate(model, key)],
    ["Copy key", () => page.copy(key, "Key")],
    ["Copy value", () => page.copy(JSON.stringify(kv.held(key)?.value ?? null, null, 2), "Value")],
    ["Copy link", () => page.copy(`${location.origin}/keys?key=${encodeURIComponent(key)}`, "Link")],
    ["Delete", () => remove(model, { keys: [key] }), "danger"],
  ]
}

/** @param {DashboardModel} model @param {string} folder */
function ofFolder(model, folder) {
  const { opened, page, kv, browse } = model
  const { rows } = browse
  // Keys that a filter hides are not included.
  const keys = rows.filtering ? rows.keysAt(rows.indexOf(folderRow(folder))) : kv.keys(folder)
  const these = rows.filtering ? ` what matches (${keys.length.toLocaleString("en")})` : ""
  return [
    ["Show only this folder", () => page.go({ prefix: folder })],
    ["New key here", () => opened.startNew(folder)],
    ["Rename or move…", () => moveFolder(model, folder)],
    ["Copy…", () => moveFolder(model, folder, { copying: true })],
    [`Export${these}`, () => download(model, keys, folder)],
    [`Delete${these}`, () => remove(model, { keys, folder: rows.filtering ? null : folder }), "danger"],
  ]
}

function moved(event, menu) {
  const items = [...menu.children]
  const here = items.indexOf(document.activeElement)
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: -1 }[event.key]
  if (event.key === "Tab" || event.key === "Escape") menu.hidePopover()
  else if (to !== undefined) items.at(to % items.length).focus()
  else {
    const named = [...items.slice(here + 1), ...items].find((item) =>
      item.textContent.toLowerCase().startsWith(event.key.toLowerCase()),
    )
    if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.key === " ") return
    named?.focus()
  }
  event.preventDefault()
  event.stopPropagation()
}

function put(menu, button) {
  if (matchMedia("(max-width: 699px)").matches) return
  const { left, right, top, bottom } = button.getBoundingClientRect()
  const { offsetWidth: width, offsetHeight: height } = menu
  const below = bottom + height + 8 < innerHeight
  menu.style.insetBlockStart = `${below ? bottom + 4 : Math.max(8, top - height - 4)}px`
  menu.style.insetInlineStart = `${Math.max(8, Math.min(right - width, innerWidth - width - 8, Math.max(left, right - width)))}px`
}
