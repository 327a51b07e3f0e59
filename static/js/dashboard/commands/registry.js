// The registry of all commands, by key or by name: the source of the key handlers, the hints on buttons, the shortcuts
// dialog and the palette.

/**
 * {name, group, keys, title, leads?, run(desk)?, when(desk)?, outside?, elsewhere?}
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
export const COMMANDS = [
  { name: "palette", group: "Go to", keys: ["Ctrl+K"], title: "Any key, page or action", run: openPalette },
  { name: "keys", group: "Go to", keys: ["g k"], title: "Keys", run: visit("keys") },
  { name: "activity", group: "Go to", keys: ["g a"], title: "Activity", run: visit("activity") },
  { name: "trash", group: "Go to", keys: ["g t"], title: "Trash", run: visit("trash") },
  { name: "account", group: "Go to", keys: ["g c"], title: "Account", run: () => location.assign("/account") },
  { name: "preferences", group: "Go to", keys: ["g p"], title: "Preferences", run: () => location.assign("/account/preferences") },
  { name: "admin", group: "Go to", keys: ["g d"], title: "Admin", run: () => location.assign("/admin"), when: () => document.querySelector('nav a[href="/admin"]') !== null },

  { name: "edit", group: "Editing", keys: ["e"], title: "Edit the open key", run: (desk) => desk.opened.edit(), when: (desk) => desk.opened.open !== null },
  { name: "save", group: "Editing", keys: ["Ctrl+S", "Ctrl+Enter"], title: "Save and stay", run: (desk) => desk.opened.save(), when: (desk) => Boolean(desk.opened.open ?? desk.opened.fresh) },
  { name: "format", group: "Editing", keys: ["Shift+F"], title: "Format the JSON", run: (desk) => desk.opened.format(), when: (desk) => desk.opened.open !== null },

  { name: "filter", group: "List", keys: ["/"], title: "Filter keys", run: (desk) => desk.page.focus(onKeys(desk) ? "filter" : "past-filter") },
  { name: "move", group: "List", keys: ["ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"], title: "Move" },
  { name: "branch", group: "List", keys: ["ArrowRight", "ArrowLeft"], title: "Open or close a folder" },
  { name: "open", group: "List", keys: ["Enter"], title: "Open the key, or show only the folder" },
  { name: "select", group: "List", keys: ["Space", "x"], title: "Select; with Shift and the arrows, a range" },
  { name: "select-all", group: "List", keys: ["Ctrl+A"], title: "Select all that match the filter", elsewhere: true, run: (desk) => desk.browse.selectAll(), when: onKeys },
  { name: "actions", group: "List", keys: ["Shift+F10"], title: "What can be done with a key or folder" },
  { name: "view", group: "List", keys: ["t"], title: "Tree or list", run: ({ browse }) => browse.setView(browse.rows.view.tree ? "list" : "tree"), when: onKeys },
  { name: "pause", group: "List", keys: ["p"], title: "Pause or resume live changes", run: ({ browse }) => browse.pause(), when: onKeys },
  { name: "back", group: "List", keys: ["Escape"], title: "Back to the list, or close" },

  { name: "new", group: "Keys", keys: ["n"], leads: "new-key", title: "New key", run: (desk) => desk.opened.startNew() },
  { name: "rename", group: "Keys", keys: [], title: "Rename the key", when: entryHere, run: async (desk) => (await import("../list/move-dialog.js")).rename(desk, here(desk)) },
  { name: "duplicate", group: "Keys", keys: ["Shift+D"], title: "Duplicate the key", when: entryHere, run: async (desk) => (await import("../list/move-dialog.js")).duplicate(desk, here(desk)) },
  { name: "copy-key", group: "Keys", keys: ["c"], title: "Copy the key", when: here, run: (desk) => desk.page.copy(here(desk), "Key") },
  { name: "copy-value", group: "Keys", keys: ["v"], title: "Copy the value", when: entryHere, run: (desk) => desk.page.copy(JSON.stringify(entryHere(desk).value, null, 2), "Value") },
  { name: "copy-link", group: "Keys", keys: ["l"], title: "Copy a link to the key", when: here, run: (desk) => desk.page.copy(`${location.origin}/keys?key=${encodeURIComponent(here(desk))}`, "Link") },
  { name: "delete", group: "Keys", keys: ["Delete", "Backspace"], title: "Delete", elsewhere: true, when: entryHere, run: (desk) => desk.opened.remove(here(desk)) },

  { name: "older", group: "History", keys: ["["], title: "Older version", run: step(1), when: inHistory },
  { name: "newer", group: "History", keys: ["]"], title: "Newer version", run: step(-1), when: inHistory },

  { name: "undo", group: "Everywhere", keys: ["Ctrl+Z"], outside: true, title: "Undo the last change", run: (desk) => desk.undo.last(), when: (desk) => desk.undo.possible },
  { name: "redo", group: "Everywhere", keys: ["Ctrl+Shift+Z", "Ctrl+Y"], outside: true, title: "Redo", run: (desk) => desk.undo.redo(), when: (desk) => desk.undo.repeatable },
  { name: "resync", group: "Everywhere", keys: ["Shift+R"], title: "Reload all data", run: (desk) => desk.kv.resync() },
  { name: "help", group: "Everywhere", keys: ["?"], title: "Keyboard shortcuts", run: async (desk) => (await import("./shortcuts-dialog.js")).showSheet(desk.page.dialogs, COMMANDS) },
]

let palette = null // its module, once loaded: then it opens before the next letter is typed

function openPalette(desk) {
  if (palette) palette.openPalette(desk, COMMANDS)
  else loadPalette().then(() => openPalette(desk))
}

/** Load the palette in advance, so that no letter is lost. */
export async function loadPalette() {
  palette = await import("./palette.js")
}

/** Return the key that has the focus in the list, else the open one, else null. */
function here(desk) {
  return document.activeElement?.rowKey ?? desk.opened.open?.key ?? null
}

function entryHere(desk) {
  const key = here(desk)
  return key === null ? undefined : desk.kv.entry(key)
}

function visit(page) {
  return (desk) => desk.page.go({ page, key: null, tab: "value", from: null, to: null })
}

function onKeys(desk) {
  return desk.route.page === "keys"
}

function step(by) {
  return async (desk) => (await import("../history/history-tab.js")).step(desk, by)
}

function inHistory(desk) {
  return desk.route.page === "keys" && desk.route.key !== null && desk.route.tab === "history"
}
