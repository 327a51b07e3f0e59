// Loads the modules that the first draw does not need, so that they are available without a network.

import { COMMANDS, loadPalette } from "./commands/registry.js"

/**
 * @import { DashboardModel } from "./dashboard-model.js"
 * @import { List } from "./list/list-view.js"
 */

/**
 * Load them, with the `others` that the page loads on first use. Resolves to `begin(form)`, which prepares for the end
 * of the page and the session, and returns {leaving, hint}. `user`: whose entries this browser keeps from now on, or
 * null; `before`: whose it has kept so far, or null.
 *
 * @param {DashboardModel} model
 * @param {List} list
 * @param {{ user: string | null, before: string | null, others: Promise<unknown>[] }} what
 */
export async function loadRest(model, list, { user, before, others }) {
  const { kv, page, opened, undo } = model
  const [{ UnloadGuard }, { keepHere, keepNothing }, { hint }] = await Promise.all([
    import("./shell/unload-guard.js"),
    import("./shell/offline.js"),
    import("./commands/shortcut-hints.js"),
    import("./shell/connection-panel.js"),
    import("./shell/quarantine.js"),
    import("./list/match-highlights.js"),
    import("./list/empty-states.js"),
    import("./list/selection-bar.js"),
    import("./list/row-menu.js"),
    import("./list/model/paused-changes.js"),
    import("./key/detail-pane.js").then(({ prepare }) => prepare(kv, page)),
    import("../lib/clipboard.js"),
    loadPalette(),
    list.loadRest(),
    undo.load(),
    opened.load?.(),
    ...others,
  ])
  return (/** @type {HTMLElement} */ form) => {
    // without a persistent sign-in this browser stores nothing, and deletes the data of an earlier session
    if (user !== null) keepHere(kv, user).catch(() => {})
    else if (before !== null) keepNothing(kv).catch(() => {})
    return { leaving: new UnloadGuard(model, form), hint: () => hint(COMMANDS) }
  }
}
