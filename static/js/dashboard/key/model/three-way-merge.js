// Three-way merge of two changes of one value that do not touch the same place. No DOM.

import { same } from "../../../client/json-values.js"

/** @import { Json } from "../../../client/json-values.js" */

const NOTHING = Symbol("not there")

/**
 * Return {value} with the changes from `base` to `mine` and from `base` to `theirs`; null if both changed the same JSON
 * path. Objects are merged member by member, arrays item by item if all three have the same length.
 * @param {Json} base
 * @param {Json} mine
 * @param {Json} theirs
 * @returns {{ value: any } | null}
 */
export function mergeJson(base, mine, theirs) {
  try {
    return { value: merged(base, mine, theirs) }
  } catch (error) {
    if (error !== OVERLAP) throw error
    return null
  }
}

const OVERLAP = Symbol("both changed it")

/** @type {(base: any, mine: any, theirs: any) => any} */
function merged(base, mine, theirs) {
  if (alike(base, theirs) || alike(mine, theirs)) return mine
  if (alike(base, mine)) return theirs
  if ([base, mine, theirs].every(isObject)) return mergedObject(base, mine, theirs)
  if ([base, mine, theirs].every(Array.isArray) && base.length === mine.length && base.length === theirs.length)
    return base.map((/** @type {any} */ item, /** @type {number} */ i) => merged(item, mine[i], theirs[i]))
  throw OVERLAP
}

/** @type {(base: any, mine: any, theirs: any) => any} */
function mergedObject(base, mine, theirs) {
  const names = new Set([...Object.keys(mine), ...Object.keys(theirs)])
  const members = [...names].map((name) => [name, merged(member(base, name), member(mine, name), member(theirs, name))])
  return Object.fromEntries(members.filter(([, value]) => value !== NOTHING))
}

/** @type {(object: any, name: string) => any} */
const member = (object, name) => (Object.hasOwn(object, name) ? object[name] : NOTHING)

/** @param {any} a @param {any} b */
function alike(a, b) {
  return a === b || (a !== NOTHING && b !== NOTHING && same(a, b))
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
