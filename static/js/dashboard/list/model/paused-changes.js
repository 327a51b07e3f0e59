// The changes held back while the list is paused: per key its last shown entry and its current one. No DOM.

/** @import { KeyChange } from "../../../client/key-change.js" */

export class PausedChanges {
  facts = new Map()

  /**
   * Hold back changes by others, and return this tab's own changes: they are shown at once.
   * @param {KeyChange[]} facts
   */
  hold(facts) {
    for (const { key, entry, old, origin, mine, resync } of facts) {
      const first = this.facts.get(key)
      if (mine) this.facts.delete(key)
      else this.facts.set(key, { key, entry, old: first ? first.old : old, origin, mine, resync })
    }
    return facts.filter(({ mine }) => mine)
  }
}
