// Everything that can be done by a key or by name, in one place: the handlers, the hints on buttons, the sheet behind `?`
// and the palette come from here.

import { showShortcuts } from "../shell/dialogs.js"

/**
 * {name, keys, title, run(desk), when(desk)?}: `keys` as the keyboard event names them; one letter counts only where nobody is typing, and can
 * be switched off. One without `run` is a hint: it is handled where it happens.
 */
export const COMMANDS = [
  { name: "filter", keys: ["/"], title: "Go to the filter", run: (desk) => desk.page.focus("filter") },
  { name: "new", keys: ["n"], title: "New key", run: (desk) => desk.opened.startNew() },
  { name: "edit", keys: ["e"], title: "Edit the open key", run: (desk) => desk.page.focus("editor"), when: (desk) => desk.opened.open !== null },
  { name: "help", keys: ["?"], title: "Show these shortcuts", run: (desk) => showShortcuts(desk.page.dialogs, COMMANDS) },
  { name: "save", keys: ["Ctrl+S", "Ctrl+Enter"], title: "Save", run: (desk) => desk.opened.save(), when: (desk) => Boolean(desk.opened.open ?? desk.opened.fresh) },
  { name: "back", keys: ["Esc"], title: "Back to the list, or close" },
  { name: "move", keys: ["↑", "↓", "Home", "End"], title: "Move in the list" },
  { name: "open", keys: ["Enter"], title: "Open the key" },
  { name: "delete", keys: ["Delete"], title: "Delete the key" },
]
