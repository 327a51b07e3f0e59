// Short texts: of a value, and of the author of a write; and the normal form of a text for a search. No DOM.

/**
 * @import { Json } from "../../client/json-values.js"
 * @import { Origin } from "../../client/replica.js"
 */

/** @type {Record<string, string>} */
const SYSTEM = { expiry: "it expired", import: "an import", admin: "an administrator" }

/**
 * Return the author: "Firefox on Linux", or "it expired" and the like for writes by the server itself.
 * @param {Origin | undefined} origin
 */
export function whoWrote(origin) {
  if (!origin) return "while you were away"
  return SYSTEM[origin.via] ?? origin.label
}

/**
 * Return the text in lower case and composed (NFC), so that "é" is found whether typed as one letter or as two.
 * @param {string} text
 */
export function fold(text) {
  return text.toLowerCase().normalize("NFC")
}

/** @type {Record<string, string>} */
const KINDS = { object: "object", string: "text", number: "number", boolean: "true or false" }

/**
 * Return "object", "array", "text", "number", "true or false" or "null".
 * @param {Json | undefined} value
 * @returns {string}
 */
export function kindOf(value) {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return KINDS[typeof value]
}

const previews = new WeakMap()

/**
 * Return the beginning of the value as compact JSON, for one line. Cached per value, since values do not change.
 * @param {Json} value
 */
export function previewOf(value, length = 120) {
  // Cut a long text before encoding it, so that the cost of a row depends only on its visible part.
  if (typeof value === "string") return JSON.stringify(value.slice(0, length))
  if (typeof value !== "object" || value === null) return String(value)
  if (!previews.has(value)) previews.set(value, JSON.stringify(value).slice(0, length))
  return previews.get(value)
}
