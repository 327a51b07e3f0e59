// What became of one sequence in another: lines of texts, and words within a line. No DOM.
//
// The ends that are the same are cut off first; lines that stand exactly once in both texts divide the rest (patience);
// what lies between two of them is compared by Myers' algorithm, as long as that costs little: a reader gains nothing from the
// shortest way between two texts that have nothing in common.

const MOST_EDITS = 400
const WORDS = /[\p{L}\p{N}_]+|\s+|[^]/gu
const ALIKE = 0.4 // of a line must have stayed for the rest of it to be marked

/**
 * [{op: "same" | "gone" | "new", text, from, to}], a line each, in reading order: first what is gone, then what is new in its place.
 * `from` and `to` are its numbers in `a` and `b`, counted from 1; null where it does not stand. A text that is null has no lines.
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

/** {gone, added}: how many lines. */
export function countLines(lines) {
  const count = (op) => lines.filter((line) => line.op === op).length
  return { gone: count("gone"), added: count("new") }
}

/** Two lines, one in the place of the other, as pieces: {before, after}, each [{text, changed}]; null when they have little in common. */
export function diffWords(before, after) {
  const a = before.match(WORDS) ?? []
  const b = after.match(WORDS) ?? []
  if (a.length + b.length > 2 * MOST_EDITS) return null
  const steps = diff(a, b)
  const stayed = steps.reduce((sum, [op, i]) => sum + (op === "same" ? a[i].trim().length : 0), 0)
  if (stayed < ALIKE * Math.max(before.trim().length, after.trim().length)) return null
  const piece = (words, other, at) =>
    joined(steps.filter(([op]) => op !== other).map((step) => ({ text: words[step[at]], changed: step[0] !== "same" })))
  return { before: piece(a, "new", 1), after: piece(b, "gone", 2) }
}

function joined(pieces) {
  const whole = []
  for (const { text, changed } of pieces) {
    if (whole.at(-1)?.changed === changed) whole.at(-1).text += text
    else whole.push({ text, changed })
  }
  return whole
}

/** [[op, i, j]]: the steps from `a` to `b`; `i` and `j` say where in them one stands. */
function diff(a, b) {
  const steps = []
  between(a, 0, a.length, b, 0, b.length, steps)
  return inOrder(steps)
}

function between(a, a0, a1, b, b0, b1, steps) {
  while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) steps.push(["same", a0++, b0++])
  let tail = 0
  while (a0 < a1 - tail && b0 < b1 - tail && a[a1 - tail - 1] === b[b1 - tail - 1]) tail += 1
  divide(a, a0, a1 - tail, b, b0, b1 - tail, steps)
  for (let n = tail; n > 0; n--) steps.push(["same", a1 - n, b1 - n])
}

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

function replace(a0, a1, b0, b1, steps) {
  for (let i = a0; i < a1; i++) steps.push(["gone", i, b0])
  for (let j = b0; j < b1; j++) steps.push(["new", a1, j])
}

/** [[i, j]] of what stands once in each, by i. */
function uniquePairs(a, a0, a1, b, b0, b1) {
  const inA = places(a, a0, a1)
  const inB = places(b, b0, b1)
  const pairs = []
  for (const [text, i] of inA) {
    const j = inB.get(text)
    if (i !== null && j !== undefined && j !== null) pairs.push([i, j])
  }
  return pairs
}

/** text → where it stands, null when it stands there more than once; in order of the first. */
function places(sequence, start, end) {
  const found = new Map()
  for (let i = start; i < end; i++) found.set(sequence[i], found.has(sequence[i]) ? null : i)
  return found
}

/** The longest of the selections of these pairs in which j rises, too. */
function rising(pairs) {
  const piles = [] // the pair on top of each
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

/** E. W. Myers, "An O(ND) difference algorithm and its variations" (1986). False, and nothing done, beyond MOST_EDITS. */
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

function backwards(trace, x, y) {
  const steps = []
  for (let d = trace.length - 1; d > 0; d--) {
    const far = (k) => trace[d][k + d]
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

/** Within each change, what is gone stands before what is new. */
function inOrder(steps) {
  const ordered = []
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
