// Keyed rendering: a list of items that appear, disappear and move; each keeps its element, and the element its focus.

import { render } from "../../vendor/lit-html/lit-html.js"

const drawn = new WeakMap() // place → key → {home, element}

/**
 * Draw `items` into `place`, in their order. `view(item)` is a template of one element, `keyOf(item)` identifies it.
 * @template T
 * @param {Element} place
 * @param {T[]} items
 * @param {(item: T) => unknown} keyOf
 * @param {(item: T) => unknown} view
 */
export function drawKeyed(place, items, keyOf, view) {
  const before = drawn.get(place) ?? new Map()
  const now = new Map()
  for (const item of items) {
    const key = keyOf(item)
    const one = before.get(key) ?? { home: document.createDocumentFragment() }
    before.delete(key)
    // lit-html keeps rendering into `home`, while the element itself may stand elsewhere.
    render(view(item), one.home)
    one.element ??= one.home.firstElementChild
    now.set(key, one)
  }
  for (const { element } of before.values()) element.remove()
  let next = place.firstElementChild
  for (const { element } of now.values()) {
    if (next && element === next) next = next.nextElementSibling
    else place.insertBefore(element, next)
  }
  drawn.set(place, now)
}
