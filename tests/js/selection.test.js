import assert from "node:assert/strict"
import { test } from "node:test"

import { FolderState } from "../../static/js/dashboard/list/model/folder-state.js"
import { RangeSelection } from "../../static/js/dashboard/list/model/range-selection.js"
import { RowIndex } from "../../static/js/dashboard/list/model/row-index.js"
import { Selection } from "../../static/js/dashboard/list/model/selection.js"
import { folderRow } from "../../static/js/dashboard/list/model/tree.js"

function listed(keys) {
  const rows = new RowIndex()
  rows.replace([...keys])
  rows.show({ tree: true })
  return rows
}

test("a folder is ticked by ticking all in it, and half ticked by some", () => {
  const selection = new Selection()
  const range = new RangeSelection(selection)
  range.toggle(["a/1", "a/2"], folderRow("a/"))
  assert.deepEqual([selection.size, selection.state(["a/1", "a/2"]), selection.ticked.has("a/2")], [2, "true", true])
  range.toggle(["a/1"], "a/1")
  assert.equal(selection.state(["a/1", "a/2"]), "mixed")
  range.toggle(["a/1", "a/2"], folderRow("a/"))
  range.toggle(["a/1", "a/2"], folderRow("a/"))
  assert.deepEqual([selection.size, selection.state(["a/1", "a/2"])], [0, "false"])
})

test("a range grows and shrinks again, and leaves alone what was ticked before", () => {
  const rows = listed(["a/1", "a/2", "b", "c", "d", "e"])
  const selection = new Selection()
  const range = new RangeSelection(selection)
  const to = (row) => range.extend(rows, "b", rows.indexOf(row))
  range.toggle(["e"], "e")
  range.toggle(["b"], "b")
  to("d")
  assert.deepEqual(selection.keys.sort(), ["b", "c", "d", "e"])
  to("c")
  assert.deepEqual(selection.keys.sort(), ["b", "c", "e"])
  to(folderRow("a/"))
  assert.deepEqual(selection.keys.sort(), ["a/1", "a/2", "b", "e"])
})

test("a range without a beginning begins at the row one came from", () => {
  const rows = listed(["a", "b", "c"])
  const selection = new Selection()
  const range = new RangeSelection(selection)
  range.extend(rows, "a", 1)
  assert.deepEqual(selection.keys, ["a", "b"])
  selection.drop("a")
  assert.deepEqual(selection.keys, ["b"])
  selection.clear()
  assert.equal(selection.size, 0)
  range.extend(rows, "c", 1)
  assert.deepEqual(selection.keys, ["b", "c"], "what was cleared does not come back")
})

test("small folders are open, large ones closed, and what was chosen counts more and is remembered", () => {
  const folders = new FolderState()
  assert.deepEqual(
    [
      folders.isOpen("a/", 3, 500),
      folders.isOpen("b/", 300, 500),
      folders.isOpen("c/", 5, 100_000),
      folders.isOpen("all/", 9_000, 9_000),
    ],
    [true, false, false, true],
  )
  assert.equal(folders.isOpen("a/", 5_000, 9_000), true, "what comes into it closes nothing")
  folders.choose("a/", false)
  folders.choose("b/", true)
  assert.deepEqual([folders.isOpen("a/", 3, 500), folders.isOpen("b/", 300, 500)], [false, true])
  const again = new FolderState(JSON.parse(JSON.stringify(folders.chosen)))
  assert.deepEqual([again.isOpen("a/", 3, 500), again.isOpen("b/", 300, 500)], [false, true])
})
