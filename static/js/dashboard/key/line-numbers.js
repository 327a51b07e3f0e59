// Text as numbered lines, JSON in colours: a finished element, created once per text. The style sheet draws the
// numbers, so that a copy contains only the text.

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|true|false|null/g

/**
 * Return an element with one child per line; lines whose numbers are in `changed` flash.
 * @param {string} text
 */
export function linesOf(text, { json = false, changed = new Set() } = {}) {
  const element = document.createElement("div")
  element.className = "lines"
  const lines = text.split("\n")
  element.style.setProperty("--digits", String(Math.max(2, String(lines.length).length)))
  for (const [i, line] of lines.entries()) element.append(lineOf(line, i + 1, json, changed.has(i + 1)))
  return element
}

/** @param {string} text @param {any} flashing */
function lineOf(text, number, json, flashing) {
  const line = document.createElement("div")
  line.className = flashing ? "ln flash changed" : "ln"
  line.dataset.no = String(number)
  line.append(...(json ? coloured(text) : [text]), "\n")
  return line
}

/** @param {string} text */
function coloured(text) {
  const pieces = []
  let end = 0
  for (const match of text.matchAll(TOKEN)) {
    pieces.push(text.slice(end, match.index), token(/** @type {any} */ (match)))
    end = match.index + (match[1] ?? match[0]).length
  }
  return [...pieces, text.slice(end)]
}

function token([whole, quoted, colon]) {
  const span = document.createElement("span")
  span.className = quoted ? (colon ? "json-name" : "json-text") : /\d/.test(whole) ? "json-number" : "json-true"
  span.textContent = quoted ?? whole
  return span
}
