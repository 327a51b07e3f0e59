// The dialog for rename, duplicate, move and copy, of one key, a folder or a selection. It shows the effect in advance:
// how many keys move, and which target keys exist already.

import { problemWithKey } from "../../client/keys.js"
import { html, nothing, render } from "../../vendor/lit-html/lit-html.js"
import { count, keyText } from "../shared/view-helpers.js"
import { nameOf, taken, tell, transfer } from "./actions.js"

/** @import { DashboardModel } from "../dashboard-model.js" */

const SHOWN = 3 // existing target keys that are listed

/** Rename a key. */
export const rename = (model, key) =>
  ask(model, { keys: [key], from: key, title: "Rename", label: "New key", verb: "Rename", suggestion: key })

/** Copy a value to another key. */
export const duplicate = (model, key) =>
  ask(model, {
    keys: [key],
    from: key,
    copying: true,
    title: "Duplicate",
    label: "New key",
    verb: "Duplicate",
    suggestion: freeName(model, key),
  })

/**
 * Move or copy a folder with all its keys, shown or not.
 * @param {DashboardModel} model
 * @param {string} folder
 */
export function moveFolder(model, folder, { copying = false } = {}) {
  const keys = model.kv.keys(folder)
  return ask(model, {
    keys,
    folder,
    from: folder,
    copying,
    title: copying ? "Copy" : "Rename or move",
    label: "New folder",
    verb: copying ? "Copy" : "Move",
    suggestion: folder,
  })
}

/**
 * Move or copy keys into another folder, which replaces their common one.
 * @param {DashboardModel} model
 * @param {string[]} keys
 */
export function moveKeys(model, keys, { copying = false } = {}) {
  const common = commonFolder(keys)
  return ask(model, {
    keys,
    common,
    copying,
    title: copying ? "Copy" : "Move",
    label: "Into the folder",
    verb: copying ? "Copy" : "Move",
    suggestion: common,
  })
}

/** @param {DashboardModel} model */
function ask(model, what) {
  const place = model.page.dialogs
  const state = { text: what.suggestion, busy: false, refusal: null }
  const draw = () => {
    render(dialog(model, what, state, draw), place)
    return place.querySelector("dialog")
  }
  place.querySelector("dialog[open]")?.close()
  const before = /** @type {HTMLElement | null} */ (document.activeElement)
  const shown = draw()
  shown.addEventListener(
    "close",
    () => before?.isConnected && document.activeElement === document.body && before.focus(),
    { once: true },
  )
  shown.showModal()
  const field = shown.querySelector("input")
  field.focus()
  // select the part that the user wants to change
  field.setSelectionRange(
    what.folder || what.common !== undefined ? 0 : state.text.lastIndexOf("/") + 1,
    state.text.length,
  )
}

/** @param {DashboardModel} model @param {any} draw */
function dialog(model, what, state, draw) {
  const { problem, note, to, into } = reading(model, what, state.text)
  const typed = ({ target }) => {
    state.text = target.value
    state.refusal = null
    draw()
  }
  const submitted = async (event) => {
    event.preventDefault()
    const { currentTarget } = event
    const box = currentTarget.closest("dialog")
    if (problem || state.busy) return box.querySelector("input").focus()
    state.busy = true
    draw()
    const done = await transfer(model, { ...what, to, into })
    // without a connection the user does not wait, and may have closed the dialog
    if (!box.open) return tell(model, done, what.copying ? "copied" : "moved")
    state.busy = false
    state.refusal = done.refusal && done.revisions.length === 0 ? done.refusal : null
    draw()
    if (state.refusal) return box.querySelector("input").focus()
    box.close()
    tell(model, done, what.copying ? "copied" : "moved")
  }
  const wrong = state.refusal ? state.refusal.message : problem
  return html`
    <dialog id="move" aria-labelledby="move-title">
      <h2 id="move-title">${what.title} ${nameOf(what)}</h2>
      <form novalidate @submit=${submitted}>
        <div class="field">
          <label for="move-to">${what.label}</label>
          <input id="move-to" class="mono" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="512" .value=${state.text}
            aria-describedby="move-note" aria-invalid=${String(Boolean(wrong) && state.text !== what.suggestion)} @input=${typed}>
          <p class="hint" id="move-note" role="status">${wrong && state.text !== what.suggestion ? html`<span class="bad">${wrong}</span>` : note}</p>
        </div>
        <div class="row-of-buttons">
          <button type="button" @click=${(event) => event.currentTarget.closest("dialog").close()}>${state.busy ? "Close" : "Cancel"}</button>
          <button type="submit" class="primary" aria-disabled=${String(Boolean(problem) || state.busy)}>${state.busy ? "Working…" : what.verb}</button>
        </div>
      </form>
    </dialog>`
}

/**
 * Interpret the typed target: {to(key), into, problem}, or with a `note` that describes the effect.
 * @param {DashboardModel} model
 */
function reading(model, { keys, folder, common, from, copying }, text) {
  const many = folder !== undefined || common !== undefined
  // The target is a folder, except at the top.
  const into = many && text !== "" && !text.endsWith("/") ? `${text}/` : text
  const cut = common === undefined ? from.length : common.length
  const to = (key) => into + key.slice(cut)
  if (into === (from ?? common))
    return {
      to,
      into,
      problem: "That is where it is. Choose another name.",
      note: many ? "A slash at the end makes a folder." : "A slash makes a folder.",
    }
  if (folder !== undefined && into === "") return { to, into, problem: "A folder has a name." }
  if (folder !== undefined && !copying && into.startsWith(folder))
    return { to, into, problem: "A folder cannot go into itself." }
  const problem = keys.map((key) => problemWithKey(to(key))).find(Boolean)
  if (problem) return { to, into, problem }
  const full = taken(model, keys, to)
  if (full.length === 0)
    return {
      to,
      into,
      note: html`${count(keys.length, "key goes", "keys go")} to <b class="mono">${keyText(keys.length === 1 ? to(keys[0]) : into || "the top")}</b>.`,
    }
  const names = full.slice(0, SHOWN).map((key, i) => html`${i ? ", " : nothing}<b class="mono">${key}</b>`)
  return {
    to,
    into,
    problem: html`${names}${full.length > SHOWN ? ` and ${full.length - SHOWN} more` : ""} ${full.length === 1 ? "exists" : "exist"} already. Nothing is ever written over.`,
  }
}

/** @param {DashboardModel} model @param {string} key */
function freeName(model, key) {
  for (let n = 1; ; n++) {
    const name = `${key}-copy${n === 1 ? "" : `-${n}`}`
    if (!model.kv.held(name)) return name
  }
}

/** @param {string[]} keys */
function commonFolder(keys) {
  let common = keys[0].slice(0, keys[0].lastIndexOf("/") + 1)
  while (!keys.every((key) => key.startsWith(common)))
    common = common.slice(0, common.lastIndexOf("/", common.length - 2) + 1)
  return common
}
