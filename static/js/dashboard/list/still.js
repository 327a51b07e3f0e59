// What happens while the list stands still: for each key what it was when it last was shown, and what it is now. No DOM.

export class Still {
  facts = new Map()

  /** Keeps what others did, and returns what this tab did itself: that shows at once. */
  hold(facts) {
    for (const { key, entry, old, origin, mine, resync } of facts) {
      const first = this.facts.get(key)
      if (mine) this.facts.delete(key)
      else this.facts.set(key, { key, entry, old: first ? first.old : old, origin, mine, resync })
    }
    return facts.filter(({ mine }) => mine)
  }
}
