// Keyboard navigation of the list, as in the tree grids of the ARIA Authoring Practices, and row selection. No DOM.

import { folderOf } from "./tree.js"

/** @import { RowIndex } from "./row-index.js" */

/**
 * Return the effect of a key press on row number `here`: {to} another row, {toggle} a folder to open or close, {tick},
 * {extend}, {enter} or {remove} true; or null. `page` is the number of rows per page.
 * @param {{ key: string, shift: boolean, rows: RowIndex, here: number, page: number }} press
 */
export function step({ key, shift, rows, here, page }) {
  const last = rows.length - 1
  const move = {
    ArrowUp: here - 1,
    ArrowDown: here + 1,
    Home: 0,
    End: last,
    PageUp: here - page,
    PageDown: here + page,
  }[key]
  if (move !== undefined) return { to: Math.min(last, Math.max(0, move)), extend: shift }
  if (key === "Enter") return { enter: true }
  if (key === " " || key === "x") return { tick: true }
  if (key === "Delete" || key === "Backspace") return { remove: true }
  if (!rows.view.tree) return null
  const folder = folderOf(rows.at(here))
  const open = rows.shows(here)
  if (key === "ArrowRight" && folder !== null) return open ? { to: here + 1 } : { toggle: folder }
  if (key === "ArrowLeft" && open) return { toggle: folder }
  if (key === "ArrowLeft" && rows.where(here).parent >= 0) return { to: rows.where(here).parent }
  return null
}
