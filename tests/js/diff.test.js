import assert from "node:assert/strict"
import { test } from "node:test"

import { countLines, diffLines, diffWords } from "../../static/js/dashboard/shared/diff.js"
import { randomness } from "./space.js"

const told = (a, b) => diffLines(a, b).map(({ op, text }) => ({ same: " ", gone: "-", new: "+" })[op] + text)
const text = (lines, without) =>
  lines
    .filter(({ op }) => op !== without)
    .map(({ text }) => text)
    .join("\n")

test("a changed line is gone and new, in its place", () => {
  assert.deepEqual(told("{\n  1,\n  2\n}", "{\n  1,\n  3\n}"), [" {", "   1,", "-  2", "+  3", " }"])
  assert.deepEqual(told("a\nb\nc", "a\nx\ny\nc"), [" a", "-b", "+x", "+y", " c"])
  assert.deepEqual(told("a", "a"), [" a"])
})

test("each line has its number in either text", () => {
  assert.deepEqual(diffLines("a\nb", "b\nc"), [
    { op: "gone", text: "a", from: 1, to: null },
    { op: "same", text: "b", from: 2, to: 1 },
    { op: "new", text: "c", from: null, to: 2 },
  ])
})

test("what is said of any two texts leads from the one to the other, and says nothing of what stayed", () => {
  const random = randomness(5)
  for (let i = 0; i < 3_000; i++) {
    const line = () => random.pick(["{", "}", "a", "b", "c", "", `${random.below(40)}`])
    const a = Array.from({ length: random.below(25) }, line)
    const b = a.slice()
    for (let n = random.below(8); n > 0; n--)
      b.splice(random.below(b.length + 1), random.below(3), ...Array.from({ length: random.below(3) }, line))
    const lines = diffLines(a.join("\n"), b.join("\n"))
    assert.equal(text(lines, "new"), a.join("\n"))
    assert.equal(text(lines, "gone"), b.join("\n"))
    assert.deepEqual(
      lines.filter(({ from }) => from).map(({ from }) => from),
      [...lines.filter(({ from }) => from).keys()].map((i) => i + 1),
    )
    assert.deepEqual(
      lines.filter(({ to }) => to).map(({ to }) => to),
      [...lines.filter(({ to }) => to).keys()].map((i) => i + 1),
    )
    for (let k = 1; k < lines.length; k++) assert.ok(!(lines[k - 1].op === "new" && lines[k].op === "gone"))
  }
})

test("without lines that stand once, the way is a shortest one", () => {
  const random = randomness(6)
  for (let i = 0; i < 500; i++) {
    const line = () => random.pick(["a", "b"])
    const a = ["a", "a", "b", "b", ...Array.from({ length: random.below(8) }, line)]
    const b = ["b", "b", "a", "a", ...Array.from({ length: random.below(8) }, line)]
    const { gone, added } = countLines(diffLines(a.join("\n"), b.join("\n")))
    assert.equal(gone + added, a.length + b.length - 2 * longestCommon(a, b))
  }
})

test("large texts that have little in common take a moment, not a minute", () => {
  const random = randomness(7)
  const long = () => Array.from({ length: 30_000 }, () => `${random.below(50)},`).join("\n")
  const [a, b] = [long(), long()]
  const start = performance.now()
  const lines = diffLines(a, b)
  assert.ok(performance.now() - start < 2_000)
  assert.equal(text(lines, "new"), a)
  assert.equal(text(lines, "gone"), b)
})

test("within a line, the words that changed are marked", () => {
  assert.deepEqual(diffWords('  "beta": ["ada"]', '  "beta": ["ada","grace"]'), {
    before: [{ text: '  "beta": ["ada"]', changed: false }],
    after: [
      { text: '  "beta": ["ada"', changed: false },
      { text: ',"grace"', changed: true },
      { text: "]", changed: false },
    ],
  })
  assert.deepEqual(
    diffWords('"limit": 250,', '"limit": 300,').after.filter(({ changed }) => changed),
    [{ text: "300", changed: true }],
  )
})

test("lines that have little in common are not picked to pieces", () => {
  assert.equal(diffWords('"Maintenance on Sunday"', "[1, 2, 3]"), null)
})

function longestCommon(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0))
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i][j] = a[i - 1] === b[j - 1] ? table[i - 1][j - 1] + 1 : Math.max(table[i - 1][j], table[i][j - 1])
  return table[a.length][b.length]
}
