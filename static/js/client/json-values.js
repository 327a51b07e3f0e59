// Values: checks that JSON can represent a value and that the protocol accepts it. A value is never altered silently:
// JSON.stringify would write NaN as null and drop `undefined`; here they are refused.

/** @typedef {null | boolean | number | string | Json[] | { [name: string]: Json }} Json */

export class InvalidValue extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message)
    this.name = "InvalidValue"
    this.code = "invalid_value"
  }
}

const DEEPEST = 64

/**
 * Return a deep copy of `value`, safe from later changes by the caller. Throws InvalidValue if it is not JSON.
 * @param {unknown} value
 * @returns {Json}
 */
export function copyOf(value) {
  check(value, "the value", 0)
  return JSON.parse(JSON.stringify(value))
}

/** @param {unknown} value @param {string} where @param {number} depth @returns {void} */
function check(value, where, depth) {
  switch (typeof value) {
    case "boolean":
      return
    case "string":
      return checkText(value, where)
    case "number":
      return checkNumber(value, where)
    case "object":
      if (value === null) return
      if (depth >= DEEPEST) throw new InvalidValue(`${where} is nested more than ${DEEPEST} deep`)
      return Array.isArray(value)
        ? checkArray(value, where, depth)
        : checkObject(/** @type {Record<string, unknown>} */ (value), where, depth)
    default:
      throw new InvalidValue(`${where} is not JSON (${typeof value})`)
  }
}

/** @param {string} text @param {string} where */
function checkText(text, where) {
  if (/\p{Surrogate}/u.test(text)) throw new InvalidValue(`${where} holds half a character (a lone surrogate)`)
}

/** @param {number} number @param {string} where */
function checkNumber(number, where) {
  if (!Number.isFinite(number)) throw new InvalidValue(`${where} is ${number}, which JSON does not have`)
  // Every double beyond that is an integer as well, but maybe not the intended one.
  if (Math.abs(number) > Number.MAX_SAFE_INTEGER)
    throw new InvalidValue(`${where} is beyond ±(2^53−1), so it cannot be held exactly: send it as a string`)
}

/** @param {unknown[]} array @param {string} where @param {number} depth */
function checkArray(array, where, depth) {
  for (let i = 0; i < array.length; i++) check(array[i], `${where}[${i}]`, depth + 1)
}

/** @param {Record<string, unknown>} object @param {string} where @param {number} depth */
function checkObject(object, where, depth) {
  const prototype = Object.getPrototypeOf(object)
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null
  if (!plain || typeof object.toJSON === "function")
    throw new InvalidValue(`${where} is a ${object.constructor?.name ?? "special object"}, not a plain object`)
  for (const name of Object.keys(object)) {
    checkText(name, `a name in ${where}`)
    check(object[name], `${where}.${name}`, depth + 1)
  }
}

/**
 * Return whether two values are the same JSON, in any order of names.
 * @param {any} a
 * @param {any} b
 * @returns {boolean}
 */
export function same(a, b) {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]))
}

/**
 * Freeze a value deeply and return it: a tab's value must stay equal to the server's.
 * @template T
 * @param {T} value
 * @returns {T}
 */
export function frozen(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(frozen)
    Object.freeze(value)
  }
  return value
}
