// Actions on a key as a whole, from any view. No DOM.

import { html } from "../../../vendor/lit-html/lit-html.js"
import { keyText } from "../../shared/view-helpers.js"

/** @import { DashboardModel } from "../../dashboard-model.js" */

/**
 * Delete the `entry` that is shown, and nothing newer; the user can undo it. Resolve to whether it was deleted.
 * @param {DashboardModel} model
 * @param {string} key
 */
export async function remove(model, key, entry = model.kv.entry(key)) {
  const { kv, page } = model
  if (!entry) return false
  if (model.browse.unsent.has(key)) {
    page.toast(`The last change of ${key} is still on its way.`)
    return false
  }
  let revision
  try {
    ;({ revision } = await kv.delete(key, { ifRevision: entry.revision }))
  } catch (refusal) {
    const changed = refusal.code === "conflict"
    page.toast(changed ? `Not deleted: ${key} has just changed in another tab.` : refusal.message)
    return false
  }
  model.undo.offer(html`Deleted <b class="mono">${keyText(key)}</b>`, [revision])
  return true
}

/**
 * Restore the value of a deleted key, unless the key has been created again.
 * @param {DashboardModel} model
 * @param {string} key
 */
export async function restore(model, key) {
  try {
    const { revision } = await model.kv.restore(key, { ifRevision: 0 })
    model.undo.offer(html`Restored <b class="mono">${keyText(key)}</b>`, [revision], { toast: false })
    model.page.say(`${key} is back`)
  } catch (refusal) {
    const taken = refusal.code === "conflict"
    model.page.toast(taken ? `${key} has been created again meanwhile; it was left as it is.` : refusal.message)
  }
}
