// Reads and formats JSON as people type it. JSON.parse describes errors differently in every browser and does not
// report a rounded integer; the text is checked here first and only then passed to it. No DOM.

/** @import { Json } from "../../client/json-values.js" */

const DEEPEST = 64
const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /[^\s,:[\]{}"]+/y
const PLAIN = /[^"\\\u0000-\u001f]*/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/**
 * Return {value} for text that is a value of the protocol, else {problem: {line, column, message}}, counted from 1.
 * @param {string} text
 */
export function readJson(text) {
  try {
    const end = new Scanner(text).document()
    return { value: JSON.parse(text.slice(0, end)) }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { problem: { ...lineAndColumn(text, error.at), message: error.message } }
  }
}

class Fault extends Error {
  /** @param {number} at @param {string} message */
  constructor(at, message) {
    super(message)
    this.at = at
  }
}

class Scanner {
  #text
  #at = 0

  /** @param {string} text */
  constructor(text) {
    this.#text = text
  }

  document() {
    this.#skip()
    if (this.#at === this.#text.length) throw new Fault(this.#at, "expected a value; text goes in quotes")
    this.#value(0)
    this.#skip()
    if (this.#at < this.#text.length) throw new Fault(this.#at, "expected nothing after the value")
    return this.#at
  }

  /** @param {number} depth @returns {any} */
  #value(depth) {
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth + 1)
      case "[":
        return this.#array(depth + 1)
      case '"':
        return this.#string()
      default:
        return this.#scalar()
    }
  }

  /** @param {number} depth */
  #object(depth) {
    this.#enter(depth)
    if (this.#leaves("}")) return
    do {
      this.#skip()
      if (this.#text[this.#at] !== '"') throw new Fault(this.#at, "expected a name in double quotes")
      this.#string()
      this.#skip()
      this.#expect(":", "expected ':' after the name")
      this.#skip()
      this.#value(depth)
    } while (this.#goesOn("}"))
  }

  /** @param {number} depth */
  #array(depth) {
    this.#enter(depth)
    if (this.#leaves("]")) return
    do {
      this.#skip()
      this.#value(depth)
    } while (this.#goesOn("]"))
  }

  /** @param {number} depth */
  #enter(depth) {
    if (depth > DEEPEST) throw new Fault(this.#at, `nested more than ${DEEPEST} deep`)
    this.#at += 1
  }

  /** @param {string} close */
  #leaves(close) {
    this.#skip()
    if (this.#text[this.#at] !== close) return false
    this.#at += 1
    return true
  }

  /** @param {string} close */
  #goesOn(close) {
    if (this.#leaves(close)) return false
    this.#expect(",", `expected ',' or '${close}'`)
    this.#skip()
    if (this.#text[this.#at] === close) throw new Fault(this.#at, `expected another item after ',', not '${close}'`)
    return true
  }

  #string() {
    const start = this.#at
    this.#at += 1
    for (;;) {
      this.#match(PLAIN)
      const character = this.#text[this.#at]
      if (character === '"') break
      if (character === undefined) throw new Fault(start, "this text has no closing quote")
      if (character !== "\\") throw new Fault(this.#at, "a line break or tab inside text is written \\n or \\t")
      if (!this.#match(ESCAPE)) throw new Fault(this.#at, "unknown escape; a backslash is written \\\\")
    }
    this.#at += 1
    const half = /\p{Surrogate}/u.exec(JSON.parse(this.#text.slice(start, this.#at)))
    if (half) throw new Fault(start, "this text holds half a character (a lone surrogate)")
  }

  #scalar() {
    const start = this.#at
    const number = this.#match(NUMBER)
    if (number !== null && !this.#match(WORD)) return checkNumber(number, start)
    this.#at = start
    const word = this.#match(WORD)
    if (word === "true" || word === "false" || word === "null") return
    if (word === null)
      throw new Fault(start, this.#at < this.#text.length ? "expected a value" : "expected a value here")
    throw new Fault(
      start,
      /^[-\d]/.test(word) ? `'${cut(word)}' is not a number` : `'${cut(word)}' is not JSON; text goes in quotes`,
    )
  }

  /** @param {string} character @param {string} message */
  #expect(character, message) {
    if (this.#text[this.#at] !== character) throw new Fault(this.#at, message)
    this.#at += 1
  }

  #skip() {
    this.#match(SPACE)
  }

  /**
   * Match the pattern at the current position and advance; null if it does not match.
   * @param {RegExp} pattern
   */
  #match(pattern) {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (!match) return null
    this.#at = pattern.lastIndex
    return match[0]
  }
}

// The rule of json-values.js, which cannot detect a number so small that it was parsed as 0.
/**
 * @param {string} text
 * @param {number} at
 */
function checkNumber(text, at) {
  const number = Number(text)
  if (!Number.isFinite(number)) throw new Fault(at, "this number is too large")
  if (Math.abs(number) > Number.MAX_SAFE_INTEGER)
    throw new Fault(at, "a number beyond ±9007199254740991 may be rounded; write it as text, in quotes")
  if (number === 0 && /^[^eE]*[1-9]/.test(text))
    throw new Fault(at, "this number is so small that it would become 0; write it as text, in quotes")
}

/** @param {string} word */
function cut(word) {
  return word.length > 20 ? `${word.slice(0, 20)}…` : word
}

/**
 * @param {string} text
 * @param {number} at
 */
function lineAndColumn(text, at) {
  const before = text.slice(0, at)
  return { line: before.split("\n").length, column: [...before.slice(before.lastIndexOf("\n") + 1)].length + 1 }
}

/**
 * Return the value as the editor shows it.
 * @param {Json} value
 */
export function formatJson(value) {
  return JSON.stringify(value, null, 2)
}

/** A value of more characters is shown unformatted until the user asks for the formatted form. */
export const LONG = 16_384

/**
 * Return the text at the start of editing: formatted, unless it is long.
 * @param {Json} value
 */
export function editorText(value) {
  const compact = JSON.stringify(value)
  return compact.length > LONG ? compact : formatJson(value)
}

/**
 * Whether this is text that a page can show and return unchanged: no control characters except line feeds and tabs.
 * @param {Json | undefined} value
 */
export function isPlain(value) {
  return typeof value === "string" && !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(value)
}

/**
 * Return the size of the value in bytes as compact JSON.
 * @param {Json} value
 */
export function sizeOf(value) {
  return new TextEncoder().encode(JSON.stringify(value)).length
}
