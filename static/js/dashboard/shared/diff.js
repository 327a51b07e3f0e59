// Diff of two sequences: the lines of texts, and the words within a line. No DOM.
//
// 1. The common beginning and end are cut off.
// 2. Lines that occur exactly once in both texts divide the rest (patience diff).
// 3. The parts between two of them are compared by Myers' algorithm, up to a limited cost: the shortest edit script of
//    two texts with nothing in common is of no use to a reader.

/** @typedef {"same" | "gone" | "new"} LineOp */
/** @typedef {{ op: LineOp, text: string, from: number | null, to: number | null }} Line */
/** @typedef {{ text: string, changed: boolean }} Piece */
/** @typedef {[LineOp, number, number]} Step */
/**
 * Compares a part of `a` with a part of `b`, and adds the steps.
 * @typedef {(
 *   a: string[], a0: number, a1: number, b: string[], b0: number, b1: number, steps: Step[]
 * ) => any} Compare
 */

const MOST_EDITS = 400
const WORDS = /[\p{L}\p{N}_]+|\s+|./gsu
const ALIKE = 0.4 // the share of a line that must be unchanged for its other words to be marked

/**
 * Return [{op: "same" | "gone" | "new", text, from, to}], one per line, in reading order: removed lines first, then the
 * lines that replace them. `from` and `to` are line numbers in `a` and `b`, counted from 1; null where the line does
 * not occur. A text that is null has no lines.
 * @param {string | null} a
 * @param {string | null} b
 * @returns {Line[]}
 */
export function diffLines(a, b) {
  const before = a?.split("\n") ?? []
  const after = b?.split("\n") ?? []
  return diff(before, after).map(([op, i, j]) => ({
    op,
    text: op === "new" ? after[j] : before[i],
    from: op === "new" ? null : i + 1,
    to: op === "gone" ? null : j + 1,
  }))
}

/**
 * Count the changed lines: {gone, added}.
 * @param {Line[]} lines
 */
export function countLines(lines) {
  const count = (/** @type {LineOp} */ op) => lines.filter((line) => line.op === op).length
  return { gone: count("gone"), added: count("new") }
}

/**
 * Compare two lines, one of which replaces the other, word by word: {before, after}, each [{text, changed}]; null when
 * they have little in common.
 * @param {string} before
 * @param {string} after
 */
export function diffWords(before, after) {
  const a = before.match(WORDS) ?? []
  const b = after.match(WORDS) ?? []
  if (a.length + b.length > 2 * MOST_EDITS) return null
  const steps = diff(a, b)
  const stayed = steps.reduce((sum, [op, i]) => sum + (op === "same" ? a[i].trim().length : 0), 0)
  if (stayed < ALIKE * Math.max(before.trim().length, after.trim().length)) return null
  /** @type {(words: string[], other: LineOp, at: 1 | 2) => Piece[]} */
  const piece = (words, other, at) =>
    joined(steps.filter(([op]) => op !== other).map((step) => ({ text: words[step[at]], changed: step[0] !== "same" })))
  return { before: piece(a, "new", 1), after: piece(b, "gone", 2) }
}

/** @param {Piece[]} pieces */
function joined(pieces) {
  /** @type {Piece[]} */
  const whole = []
  for (const { text, changed } of pieces) {
    const last = whole.at(-1)
    if (last?.changed === changed) last.text += text
    else whole.push({ text, changed })
  }
  return whole
}

/**
 * Return the steps from `a` to `b`: [[op, i, j]], with the positions `i` in `a` and `j` in `b`.
 * @param {string[]} a
 * @param {string[]} b
 */
function diff(a, b) {
  /** @type {Step[]} */
  const steps = []
  between(a, 0, a.length, b, 0, b.length, steps)
  return inOrder(steps)
}

/** @type {Compare} */
function between(a, a0, a1, b, b0, b1, steps) {
  while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) steps.push(["same", a0++, b0++])
  let tail = 0
  while (a0 < a1 - tail && b0 < b1 - tail && a[a1 - tail - 1] === b[b1 - tail - 1]) tail += 1
  divide(a, a0, a1 - tail, b, b0, b1 - tail, steps)
  for (let n = tail; n > 0; n--) steps.push(["same", a1 - n, b1 - n])
}

/** @type {Compare} */
function divide(a, a0, a1, b, b0, b1, steps) {
  if (a0 === a1 || b0 === b1) return replace(a0, a1, b0, b1, steps)
  const anchors = rising(uniquePairs(a, a0, a1, b, b0, b1))
  if (anchors.length === 0) return myers(a, a0, a1, b, b0, b1, steps) || replace(a0, a1, b0, b1, steps)
  for (const [i, j] of anchors) {
    between(a, a0, i, b, b0, j, steps)
    steps.push(["same", i, j])
    a0 = i + 1
    b0 = j + 1
  }
  between(a, a0, a1, b, b0, b1, steps)
}

/** @type {(a0: number, a1: number, b0: number, b1: number, steps: Step[]) => void} */
function replace(a0, a1, b0, b1, steps) {
  for (let i = a0; i < a1; i++) steps.push(["gone", i, b0])
  for (let j = b0; j < b1; j++) steps.push(["new", a1, j])
}

/**
 * Return the pairs [[i, j]] of items that occur once in each, ordered by i.
 * @type {(a: string[], a0: number, a1: number, b: string[], b0: number, b1: number) => [number, number][]}
 */
function uniquePairs(a, a0, a1, b, b0, b1) {
  const inA = places(a, a0, a1)
  const inB = places(b, b0, b1)
  /** @type {[number, number][]} */
  const pairs = []
  for (const [text, i] of inA) {
    const j = inB.get(text)
    if (i !== null && j !== undefined && j !== null) pairs.push([i, j])
  }
  return pairs
}

/**
 * Map each item to its position, null if it occurs more than once, in order of first occurrence.
 * @type {(sequence: string[], start: number, end: number) => Map<string, number | null>}
 */
function places(sequence, start, end) {
  const found = new Map()
  for (let i = start; i < end; i++) found.set(sequence[i], found.has(sequence[i]) ? null : i)
  return found
}

/**
 * Return the longest subsequence of these pairs in which j rises as well.
 * @param {[number, number][]} pairs
 */
function rising(pairs) {
  const piles = [] // the top pair of each pile
  const below = new Map()
  for (const pair of pairs) {
    let low = 0
    let high = piles.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (piles[middle][1] < pair[1]) low = middle + 1
      else high = middle
    }
    below.set(pair, piles[low - 1])
    piles[low] = pair
  }
  const longest = []
  for (let pair = piles.at(-1); pair; pair = below.get(pair)) longest.push(pair)
  return longest.reverse()
}

/**
 * E. W. Myers, "An O(ND) difference algorithm and its variations" (1986). Beyond MOST_EDITS return false and add no
 * steps.
 * @type {Compare}
 */
function myers(a, a0, a1, b, b0, b1, steps) {
  const n = a1 - a0
  const m = b1 - b0
  const most = Math.min(MOST_EDITS, n + m)
  const far = new Int32Array(2 * most + 3) // the furthest x on diagonal k, at k + most + 1
  const trace = []
  for (let d = 0; d <= most; d++) {
    trace.push(far.slice(most + 1 - d, most + 2 + d))
    for (let k = -d; k <= d; k += 2) {
      const at = k + most + 1
      const down = k === -d || (k !== d && far[at - 1] < far[at + 1])
      let x = down ? far[at + 1] : far[at - 1] + 1
      while (x < n && x - k < m && a[a0 + x] === b[b0 + x - k]) x += 1
      far[at] = x
      if (x >= n && x - k >= m) {
        for (const [op, x, y] of backwards(trace, n, m)) steps.push([op, a0 + x, b0 + y])
        return true
      }
    }
  }
  return false
}

/** @param {Int32Array[]} trace @param {number} x @param {number} y */
function backwards(trace, x, y) {
  /** @type {Step[]} */
  const steps = []
  for (let d = trace.length - 1; d > 0; d--) {
    const far = (/** @type {number} */ k) => trace[d][k + d]
    const k = x - y
    const down = k === -d || (k !== d && far(k - 1) < far(k + 1))
    const fromK = down ? k + 1 : k - 1
    const fromX = far(fromK)
    const fromY = fromX - fromK
    while (x > fromX && y > fromY && x > (down ? fromX : fromX + 1)) steps.push(["same", --x, --y])
    steps.push(down ? ["new", x, --y] : ["gone", --x, y])
  }
  while (x > 0) steps.push(["same", --x, --y])
  return steps.reverse()
}

/**
 * Within each change, put the removed items before the new ones.
 * @param {Step[]} steps
 */
function inOrder(steps) {
  /** @type {Step[]} */
  const ordered = []
  /** @type {Step[]} */
  let waiting = []
  for (const step of steps) {
    if (step[0] === "new") waiting.push(step)
    else {
      if (step[0] === "same") {
        ordered.push(...waiting)
        waiting = []
      }
      ordered.push(step)
    }
  }
  return ordered.concat(waiting)
}
