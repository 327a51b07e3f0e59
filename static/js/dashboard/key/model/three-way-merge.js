// Three-way merge of two changes of one value that do not touch the same place. No DOM.

import { same } from "../../../client/json-values.js"

const NOTHING = Symbol("not there")

/**
 * Return {value} with the changes from `base` to `mine` and from `base` to `theirs`; null if both changed the same JSON
 * path. Objects are merged member by member, arrays item by item if all three have the same length.
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

function merged(base, mine, theirs) {
  if (alike(base, theirs) || alike(mine, theirs)) return mine
  if (alike(base, mine)) return theirs
  if ([base, mine, theirs].every(isObject)) return mergedObject(base, mine, theirs)
  if ([base, mine, theirs].every(Array.isArray) && base.length === mine.length && base.length === theirs.length)
    return base.map((item, i) => merged(item, mine[i], theirs[i]))
  throw OVERLAP
}

function mergedObject(base, mine, theirs) {
  const names = new Set([...Object.keys(mine), ...Object.keys(theirs)])
  const members = [...names].map((name) => [
    name,
    merged(...[base, mine, theirs].map((object) => member(object, name))),
  ])
  return Object.fromEntries(members.filter(([, value]) => value !== NOTHING))
}

const member = (object, name) => (Object.hasOwn(object, name) ? object[name] : NOTHING)

function alike(a, b) {
  return a === b || (a !== NOTHING && b !== NOTHING && same(a, b))
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
