// The content of one row of the list, a folder or a key; its position comes from the caller.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { keyText, preview, signs, time } from "../shared/view-helpers.js"
import { folderOf, parentOf } from "./model/tree.js"

/** @import { ListModel } from "./model/list-model.js" */

/** Render the row of `id`, number `index`; `place` is the result of `RowIndex.where`. */
export function rowView({ browse, opened }, now, { id, index, place, tabStop, rowHeight, marked }) {
  const folder = folderOf(id)
  const mark = folder === null ? browse.marks.of(id, Date.now()) : undefined
  const open = folder === null && opened.open?.key === id
  const tree = browse.rows.view.tree
  const ticked = browse.selection.size === 0 ? "false" : browse.selection.state(browse.rows.keysAt(index))
  const name = folder ?? id
  return html`
    <div role="row" class=${`row${open ? " open" : ""}${folder === null ? "" : " of-folder"}${mark?.flashing ? ` flash ${mark.kind}` : ""}`}
      aria-rowindex=${index + 1} aria-selected=${ticked === "true"} aria-current=${open ? "true" : nothing}
      aria-level=${tree ? place.level : nothing} aria-posinset=${tree ? place.at : nothing} aria-setsize=${tree ? place.of : nothing}
      aria-expanded=${folder === null ? nothing : browse.rows.shows(index)}
      tabindex=${tabStop ? 0 : -1} .rowId=${id} .rowKey=${folder === null ? id : null} .style=${`transform:translateY(${index * rowHeight}px);--level:${Math.min(place.level, 12) - 1}`}>
      <span role="gridcell" class="c"><input type="checkbox" tabindex="-1" aria-label=${`Select ${name}`} .checked=${ticked === "true"} .indeterminate=${ticked === "mixed"}></span>
      ${folder === null ? keyCells(browse, id, { mark, edited: opened.hasDraft(id), now, marked }) : folderCells(folder, place.count, marked)}
    </div>`
}

/** @param {string} folder */
function folderCells(folder, count, marked) {
  const name = folder.slice(parentOf(folder).length)
  return html`
    <span role="gridcell" class="k" title=${folder}><span class="twisty" aria-hidden="true">${signs.twisty}</span><bdi class="name">${marked?.text(name) ?? name}</bdi></span>
    <span role="gridcell" class="v"><span class="dim">${count.toLocaleString("en")}<span class="vh"> ${count === 1 ? "key" : "keys"}</span></span></span>
    <span role="gridcell" class="t">${more(folder)}</span>`
}

/** @param {ListModel} browse @param {string} key */
function keyCells(browse, key, { mark, edited, now, marked }) {
  const { tree } = browse.rows.view
  const entry = browse.entry(key)
  const unsent = browse.unsent.has(key)
  const cut = key.lastIndexOf("/") + 1
  const leaf = key.slice(cut)
  const shown =
    tree && leaf !== ""
      ? html`<bdi><span class="leaf">${marked?.text(leaf) ?? leaf}</span></bdi>`
      : marked
        ? marked.key(key)
        : keyText(key)
  return html`
    <span role="gridcell" class="k" title=${key} aria-label=${edited ? `${key}, has unsaved changes` : key}>
      ${shown}${edited ? html`<span class="edited" title="Has unsaved changes">${signs.draft}</span>` : nothing}
    </span>
    <span role="gridcell" class="v">${entry ? (marked?.value(key, entry) ?? preview(entry.value)) : html`<span class="dim">${unsent ? "not saved yet" : "deleted"}</span>`}</span>
    <span role="gridcell" class="t">
      ${mark ? html`<span class="by" title=${`${news(mark)} ${mark.who}`}>${signs.otherTab}<span class="vh">${news(mark)} </span><span class="who">${mark.who}</span></span>` : nothing}
      ${unsent ? html`<span class="unsent">${signs.unsent}unsent</span>` : entry ? time(entry.updated_at, now) : nothing}
      ${more(key)}
    </span>`
}

const more = (name) =>
  html`<button type="button" class="more" tabindex="-1" aria-haspopup="menu" aria-label=${`Actions for ${name}`}>${signs.more}</button>`

function news({ kind }) {
  return { new: "created by", changed: "changed by", gone: "deleted by" }[kind]
}
