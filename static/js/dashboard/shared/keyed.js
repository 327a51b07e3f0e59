// A row of things that come, go and change places, each in an element of its own that stays the same, with its focus.

import { render } from "../../vendor/lit-html/lit-html.js"

const drawn = new WeakMap() // place → key → {home, element}

/** Draws `items` into `place`, in their order; `view(item)` is a template of one element, `keyOf(item)` says which one that is. */
export function drawKeyed(place, items, keyOf, view) {
  const before = drawn.get(place) ?? new Map()
  const now = new Map()
  for (const item of items) {
    const key = keyOf(item)
    const one = before.get(key) ?? { home: document.createDocumentFragment() }
    before.delete(key)
    // The template keeps its home, and its element may stand elsewhere.
    render(view(item), one.home)
    one.element ??= one.home.firstElementChild
    now.set(key, one)
  }
  for (const { element } of before.values()) element.remove()
  let next = place.firstElementChild
  for (const { element } of now.values()) {
    if (element === next) next = next.nextElementSibling
    else place.insertBefore(element, next)
  }
  drawn.set(place, now)
}
