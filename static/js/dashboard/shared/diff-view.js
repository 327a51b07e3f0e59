// Renders the difference of two texts line by line, unified or side by side. Loaded when a difference is first shown.

import { html, nothing } from "../../vendor/lit-html/lit-html.js"
import { diffLines, diffWords } from "./diff.js"
import { stylesheet } from "./load-stylesheet.js"

/** @import { Line, Piece } from "./diff.js" */

await stylesheet("/static/css/difference.css")

/** @typedef {{ line: Line, words?: Piece[] }} Half A line on one side. */
/** @typedef {{ left?: Half, right?: Half }} Row */
/** @typedef {{ gone: { left: Half }[], added: { right: Half }[] }} ChangedRows The removed and the new lines of a change. */

const AROUND = 3 // unchanged lines shown before and after a change
const FEWEST = 3 // the shortest run of unchanged lines that is folded
const MOST = 4_000 // lines that are drawn at most

/**
 * Render the difference of `a` and `b`, texts as the editor shows them; null: there is none. `side`: side by side,
 * where there is room. `label`: the accessible name of the region.
 * @param {string | null} a
 * @param {string | null} b
 * @param {{ side?: boolean, label?: string }} options
 */
export function differenceView(a, b, { side = false, label = "Difference" } = {}) {
  const lines = linesOf(a, b)
  if (lines.every(({ op }) => op === "same")) return html`<p class="hint">There is no difference.</p>`
  const rows = (side ? pairs : single)(lines)
  const parts = folded(rows.slice(0, MOST))
  return html`
    <div class=${`difference${side ? " side" : ""}`} tabindex="0" role="region" aria-label=${label}>
      ${parts.map((part) => (part.hidden ? skipped(part.rows, side) : side ? blocks(part.rows) : part.rows.map((row) => rowView(row, side))))}
      ${rows.length > MOST ? html`<p class="hint">… and ${(rows.length - MOST).toLocaleString("en")} lines more</p>` : nothing}
    </div>`
}

/** @type {{ a: string | null, b: string | null, lines: Line[] } | undefined} */
let last // the last result, since the page is redrawn every second and mostly shows the same texts

/** @param {string | null} a @param {string | null} b */
function linesOf(a, b) {
  const known = last && last.a === a && last.b === b ? last : { a, b, lines: diffLines(a, b) }
  last = known
  return known.lines
}

/**
 * Return one line per row: {left} or {right}, both where nothing changed. A replaced line has its `words`.
 * @param {Line[]} lines
 */
function single(lines) {
  return pairs(lines, ({ gone, added }) => [...gone, ...added])
}

/** @param {Line[]} lines @param {(change: ChangedRows) => Row[]} laidOut */
function pairs(lines, laidOut = beside) {
  /** @type {Row[]} */
  const rows = []
  for (let i = 0; i < lines.length; ) {
    if (lines[i].op === "same") {
      rows.push({ left: { line: lines[i] }, right: { line: lines[i] } })
      i += 1
      continue
    }
    /** @type {ChangedRows} */
    const change = { gone: [], added: [] }
    for (; lines[i]?.op === "gone"; i++) change.gone.push({ left: { line: lines[i] } })
    for (; lines[i]?.op === "new"; i++) change.added.push({ right: { line: lines[i] } })
    markWords(change)
    rows.push(...laidOut(change))
  }
  return rows
}

/** @param {ChangedRows} change */
function markWords({ gone, added }) {
  if (gone.length !== added.length) return
  gone.forEach(({ left }, i) => {
    const words = diffWords(left.line.text, added[i].right.line.text)
    left.words = words?.before
    added[i].right.words = words?.after
  })
}

/** @param {ChangedRows} change @returns {Row[]} */
function beside({ gone, added }) {
  return Array.from({ length: Math.max(gone.length, added.length) }, (_, i) => ({ ...gone[i], ...added[i] }))
}

/**
 * Split the rows into parts; rows far from every change are `hidden`.
 * @param {Row[]} rows
 */
function folded(rows) {
  const near = new Array(rows.length).fill(false)
  rows.forEach((row, i) => {
    if (isSame(row)) return
    for (let n = Math.max(0, i - AROUND); n <= Math.min(rows.length - 1, i + AROUND); n++) near[n] = true
  })
  /** @type {{ hidden: boolean, rows: Row[] }[]} */
  const parts = []
  rows.forEach((row, i) => {
    const last = parts.at(-1)
    if (last?.hidden === !near[i]) last.rows.push(row)
    else parts.push({ hidden: !near[i], rows: [row] })
  })
  for (const part of parts) part.hidden &&= part.rows.length >= FEWEST
  return parts
}

/** @param {Row} row */
const isSame = ({ left, right }) => left !== undefined && left.line === right?.line

/**
 * Group the rows of one change, so that a narrow screen can show its old lines above its new ones.
 * @param {Row[]} rows
 */
function blocks(rows) {
  /** @type {Row[][]} */
  const all = []
  for (const row of rows) {
    const last = all.at(-1)
    if (last && !isSame(row) && !isSame(last[0])) last.push(row)
    else all.push([row])
  }
  return all.map((rows) =>
    isSame(rows[0]) ? rowView(rows[0], true) : html`<div class="block">${rows.map((row) => rowView(row, true))}</div>`,
  )
}

/** @param {Row[]} rows @param {boolean} side */
function skipped(rows, side) {
  return html`
    <details class="skipped">
      <summary>${rows.length} unchanged ${rows.length === 1 ? "line" : "lines"}</summary>
      ${rows.map((row) => rowView(row, side))}
    </details>`
}

/** @param {Row} row @param {boolean} side */
function rowView(row, side) {
  const { left, right } = row
  if (side)
    return html`<div class=${`pair${isSame(row) ? " same" : ""}`}>${cell(left, "from")}${cell(right, "to")}</div>`
  const { line, words } = /** @type {Half} */ (left ?? right)
  return html`<div class=${`line ${line.op}`}><span class="no" data-no=${line.from ?? ""}></span><span class="no" data-no=${line.to ?? ""}></span>${content(line, words)}</div>`
}

/** @param {Half | undefined} half @param {"from" | "to"} number */
function cell(half, number) {
  if (!half) return html`<div class="line none"></div>`
  const { line, words } = half
  return html`<div class=${`line ${line.op}`}><span class="no" data-no=${line[number] ?? ""}></span>${content(line, words)}</div>`
}

const SIGNS = { gone: "−", new: "+", same: "" }
const SAID = { gone: "Removed: ", new: "Added: ", same: "" }

/** @param {Line} line @param {Piece[] | undefined} words */
function content({ op, text }, words) {
  return html`<span class="sign" data-sign=${SIGNS[op]}></span><code>${SAID[op] ? html`<span class="vh">${SAID[op]}</span>` : nothing}${words ? words.map(({ text, changed }) => (changed ? html`<mark>${text}</mark>` : text)) : text}
</code>`
}
