// Keys: order and validation. The protocol orders keys by their UTF-8 bytes, which is the order of code points;
// JavaScript's `<` compares UTF-16 units and puts "😀" before "～".

/**
 * Return a negative number, zero or a positive number if `a` is before, equal to or after `b` in byte order.
 * @param {string} a
 * @param {string} b
 * @returns {number}
 */
export function compareKeys(a, b) {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

// Surrogates encode code points above all other units: rank U+E000–U+FFFF below them.
/** @param {number} unit */
function rank(unit) {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

const NOT_ORDERED_BY_UNITS = /[\ud800-\uffff]/

/**
 * Sort an array of keys in place into byte order, and return it.
 * @param {string[]} keys
 */
export function sortKeys(keys) {
  // The built-in order is several times faster, and the same unless such a unit occurs.
  return keys.some((key) => NOT_ORDERED_BY_UNITS.test(key)) ? keys.sort(compareKeys) : keys.sort()
}

/**
 * Return the position of `key` in an array sorted by `sortKeys`, or its insertion point: {at, found}.
 * @param {string[]} keys
 * @param {string} key
 */
export function place(keys, key) {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(keys[middle], key) < 0) low = middle + 1
    else high = middle
  }
  return { at: low, found: keys[low] === key }
}

/**
 * Return the reason (a sentence) for which this text is not a valid key, or null if it is one.
 * @param {string} key
 * @returns {string | null}
 */
export function problemWithKey(key) {
  if (typeof key !== "string") return "A key is text."
  if (key === "") return "A key has at least one character."
  if (/[\u0000-\u001f\u007f]/.test(key)) return "A key has no control characters, such as line breaks or tabs."
  if (/\p{Surrogate}/u.test(key)) return "A key has no half characters (lone surrogates)."
  const bytes = new TextEncoder().encode(key).length
  if (bytes > 512) return `A key has at most 512 bytes; this one has ${bytes}.`
  return null
}
