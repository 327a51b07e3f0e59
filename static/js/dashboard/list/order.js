// The orders that the list can have. No DOM.

import { parentOf } from "./tree.js"

const UNWRITTEN = 2 ** 33 // what is not written yet is newer than anything

/** `keys`, which stand in byte order, as `sort` says; `tree`: so that each folder's stand together. `revisionOf(key)` tells their age. */
export function inOrder(keys, sort, { tree, root, revisionOf }) {
  if (sort === "key") return keys
  if (sort === "-key") return keys.toReversed()
  const newest = newestFirst(keys, revisionOf)
  const sorted = tree ? together(newest, root) : newest
  return sort === "updated" ? sorted.reverse() : sorted
}

function newestFirst(keys, revisionOf) {
  // Numbers sort several times faster than what is compared by a function: place and revision in one.
  const places = 2 ** Math.ceil(Math.log2(keys.length + 1))
  const marks = Float64Array.from(keys, (key, i) => (revisionOf(key) ?? UNWRITTEN) * places + (places - 1 - i)).sort()
  return Array.from(marks, (_, i) => keys[places - 1 - (marks[marks.length - 1 - i] % places)])
}

/** What is in a folder stands where the first of it stood. */
function together(keys, root) {
  const folders = new Map([[root, []]])
  const contents = (folder) => {
    const known = folders.get(folder)
    if (known || folder.length < root.length) return known ?? folders.get(root)
    const made = []
    folders.set(folder, made)
    contents(parentOf(folder)).push(made)
    return made
  }
  for (const key of keys) contents(key.slice(0, key.lastIndexOf("/") + 1)).push(key)
  return folders.get(root).flat(Infinity)
}
