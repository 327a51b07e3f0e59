// The keyboard in the list: from row to row as in the tree grids of the ARIA practices, and what is ticked on the way. No DOM.

import { folderOf } from "./tree.js"

/**
 * What a key does on the row number `here`: {to} another row, {toggle} a folder that it opens or closes, {tick}, {extend}, {enter} or {remove} true;
 * or null. `page` is how many rows a page has.
 */
export function step({ key, shift, rows, here, page }) {
  const last = rows.length - 1
  const move = { ArrowUp: here - 1, ArrowDown: here + 1, Home: 0, End: last, PageUp: here - page, PageDown: here + page }[key]
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
