// The registry of all commands, by key or by name: the source of the key handlers, the hints on buttons, the shortcuts
// dialog and the palette.

/** @import { DashboardModel } from "../dashboard-model.js" */

/**
 * @typedef {{
 *   name: string, group: string, keys: string[], title: string, leads?: string, run?(model: DashboardModel): unknown,
 *   when?(model: DashboardModel): unknown, outside?: boolean, elsewhere?: boolean
 * }} Command
 *
 * - `keys`: alternatives, named as by `nameOf` of keyboard.js ("n", "Shift+D", "Ctrl+K", "ArrowUp"); "g k" is a
 *   sequence, and Ctrl is Cmd on Apple machines. Keys without Ctrl apply only outside of text fields, and can be
 *   switched off.
 * - `outside`: a key with Ctrl also applies only outside of text fields.
 * - `run`: without it, the command is only a line of the shortcuts dialog.
 * - `elsewhere`: its keys are handled by the view concerned; the palette can still run it.
 * - `leads`: the id of the text field that gets the focus.
 *
 * An element with `data-command` gets the tooltip of the command of that name.
 */
/** @type {Command[]} */
export const COMMANDS = [
  { name: "palette", group: "Go to", keys: ["Ctrl+K"], title: "Any key, page or action", run: openPalette },
  { name: "keys", group: "Go to", keys: ["g k"], title: "Keys", run: visit("keys") },
  { name: "activity", group: "Go to", keys: ["g a"], title: "Activity", run: visit("activity") },
  { name: "trash", group: "Go to", keys: ["g t"], title: "Trash", run: visit("trash") },
  { name: "account", group: "Go to", keys: ["g c"], title: "Account", run: () => location.assign("/account") },
  {
    name: "preferences",
    group: "Go to",
    keys: ["g p"],
    title: "Preferences",
    run: () => location.assign("/account/preferences"),
  },
  {
    name: "admin",
    group: "Go to",
    keys: ["g d"],
    title: "Admin",
    run: () => location.assign("/admin"),
    when: () => document.querySelector('nav a[href="/admin"]') !== null,
  },

  {
    name: "edit",
    group: "Editing",
    keys: ["e"],
    title: "Edit key",
    run: (model) => model.opened.edit(),
    when: (model) => model.opened.open !== null,
  },
  {
    name: "save",
    group: "Editing",
    keys: ["Ctrl+S", "Ctrl+Enter"],
    title: "Save",
    run: (model) => model.opened.save(),
    when: (model) => Boolean(model.opened.open ?? model.opened.fresh),
  },
  {
    name: "format",
    group: "Editing",
    keys: ["Shift+F"],
    title: "Format JSON",
    run: (model) => model.opened.format(),
    when: (model) => model.opened.open !== null,
  },

  {
    name: "filter",
    group: "List",
    keys: ["/"],
    title: "Filter keys",
    run: (model) => model.page.focus(onKeys(model) ? "filter" : "past-filter"),
  },
  { name: "move", group: "List", keys: ["ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"], title: "Move" },
  { name: "branch", group: "List", keys: ["ArrowRight", "ArrowLeft"], title: "Open or close folder" },
  { name: "open", group: "List", keys: ["Enter"], title: "Open key or folder" },
  { name: "select", group: "List", keys: ["Space", "x"], title: "Select; with Shift a range" },
  {
    name: "select-all",
    group: "List",
    keys: ["Ctrl+A"],
    title: "Select all matches",
    elsewhere: true,
    run: (model) => model.browse.selectAll(),
    when: onKeys,
  },
  { name: "actions", group: "List", keys: ["Shift+F10"], title: "Actions of a key or folder" },
  {
    name: "view",
    group: "List",
    keys: ["t"],
    title: "Tree or list",
    run: ({ browse }) => browse.setView(browse.rows.view.tree ? "list" : "tree"),
    when: onKeys,
  },
  {
    name: "pause",
    group: "List",
    keys: ["p"],
    title: "Pause or resume live changes",
    run: ({ browse }) => browse.pause(),
    when: onKeys,
  },
  { name: "back", group: "List", keys: ["Escape"], title: "Back to the list, or close" },

  {
    name: "new",
    group: "Keys",
    keys: ["n"],
    leads: "new-key",
    title: "New key",
    run: (model) => model.opened.startNew(),
  },
  {
    name: "rename",
    group: "Keys",
    keys: [],
    title: "Rename the key",
    when: entryHere,
    run: async (model) => (await import("../list/move-dialog.js")).rename(model, here(model)),
  },
  {
    name: "duplicate",
    group: "Keys",
    keys: ["Shift+D"],
    title: "Duplicate the key",
    when: entryHere,
    run: async (model) => (await import("../list/move-dialog.js")).duplicate(model, here(model)),
  },
  {
    name: "copy-key",
    group: "Keys",
    keys: ["c"],
    title: "Copy the key",
    when: here,
    run: (model) => model.page.copy(here(model), "Key"),
  },
  {
    name: "copy-value",
    group: "Keys",
    keys: ["v"],
    title: "Copy the value",
    when: entryHere,
    run: (model) => model.page.copy(JSON.stringify(entryHere(model).value, null, 2), "Value"),
  },
  {
    name: "copy-link",
    group: "Keys",
    keys: ["l"],
    title: "Copy link",
    when: here,
    run: (model) =>
      model.page.copy(`${location.origin}/keys?key=${encodeURIComponent(/** @type {string} */ (here(model)))}`, "Link"),
  },
  {
    name: "delete",
    group: "Keys",
    keys: ["Delete", "Backspace"],
    title: "Delete",
    elsewhere: true,
    when: entryHere,
    run: (model) => model.opened.remove(/** @type {string} */ (here(model))),
  },

  { name: "older", group: "History", keys: ["["], title: "Older version", run: step(1), when: inHistory },
  { name: "newer", group: "History", keys: ["]"], title: "Newer version", run: step(-1), when: inHistory },

  {
    name: "undo",
    group: "Everywhere",
    keys: ["Ctrl+Z"],
    outside: true,
    title: "Undo the last change",
    run: (model) => model.undo.last(),
    when: (model) => model.undo.possible,
  },
  {
    name: "redo",
    group: "Everywhere",
    keys: ["Ctrl+Shift+Z", "Ctrl+Y"],
    outside: true,
    title: "Redo",
    run: (model) => model.undo.redo(),
    when: (model) => model.undo.repeatable,
  },
  {
    name: "resync",
    group: "Everywhere",
    keys: ["Shift+R"],
    title: "Reload all data",
    run: (model) => model.kv.resync(),
  },
  {
    name: "help",
    group: "Everywhere",
    keys: ["?"],
    title: "Keyboard shortcuts",
    run: async (model) => (await import("./shortcuts-dialog.js")).showSheet(model.page.dialogs, COMMANDS),
  },
]

/** @type {typeof import("./palette.js") | null} */
let palette = null // its module, once loaded: then it opens before the next letter is typed

/** @param {DashboardModel} model */
function openPalette(model) {
  if (palette) palette.openPalette(model, COMMANDS)
  else loadPalette().then(() => openPalette(model))
}

/** Load the palette in advance, so that no letter is lost. */
export async function loadPalette() {
  palette = await import("./palette.js")
}

/**
 * Return the key that has the focus in the list, else the open one, else null.
 * @param {DashboardModel} model
 */
function here(model) {
  return document.activeElement?.rowKey ?? model.opened.open?.key ?? null
}

/** @param {DashboardModel} model */
function entryHere(model) {
  const key = here(model)
  return key === null ? undefined : model.kv.entry(key)
}

/** @param {string} page */
function visit(page) {
  return (model) => model.page.go({ page, key: null, tab: "value", from: null, to: null })
}

/** @param {DashboardModel} model */
function onKeys(model) {
  return model.route.page === "keys"
}

/** @param {number} by */
function step(by) {
  return async (model) => (await import("../history/history-tab.js")).step(model, by)
}

/** @param {DashboardModel} model */
function inHistory(model) {
  return model.route.page === "keys" && model.route.key !== null && model.route.tab === "history"
}
