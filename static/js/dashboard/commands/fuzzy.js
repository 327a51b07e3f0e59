// Fuzzy search: all letters must occur in order, with a better score if they are adjacent, at the beginning of a word,
// or in the last part of a key. No DOM.

const TOGETHER = 1_000 // the score of a contiguous match

/**
 * Return the score of `text` for `needle`, both in lower case; -1 for no match.
 * @param {string} text
 * @param {string} needle
 * @param {string} text
 */
export function score(needle, text) {
  const at = text.indexOf(needle)
  if (at >= 0) {
    const first = atWordStart(text, at) ? 200 : 0
    const last = at > text.lastIndexOf("/") ? 100 : 0
    return TOGETHER + first + last - Math.min(text.length, 99)
  }
  let from = 0
  let sum = 0
  for (let i = 0; i < needle.length; i++) {
    const found = text.indexOf(needle[i], from)
    if (found < 0) return -1
    if (found === from) sum += 8
    else if (atWordStart(text, found)) sum += 6
    from = found + 1
  }
  return 300 + sum - Math.min(text.length, 99)
}

/**
 * Return {best, matching}: the best `most` of `texts` (in lower case) as [score, index], the best first, and the
 * indexes of all matches. With `among`, search only these indexes: a text that does not match a needle does not match a
 * longer one either.
 *
 * @param {string} needle
 * @param {string[]} texts
 * @param {{ most?: number, among?: number[] | null }} options
 * @returns {{ best: [number, number][], matching: number[] }}
 */
export function search(needle, texts, { most = 50, among = null } = {}) {
  /** @type {number[]} */
  const matching = []
  /** @type {[number, number][]} */
  const best = []
  const count = among ? among.length : texts.length
  for (let i = 0; i < count; i++) {
    const index = among ? among[i] : i
    const points = score(needle, texts[index])
    if (points < 0) continue
    matching.push(index)
    if (best.length === most && points <= best[most - 1][0]) continue
    let place = best.length
    while (place > 0 && best[place - 1][0] < points) place--
    best.splice(place, 0, [points, index])
    if (best.length > most) best.pop()
  }
  return { best, matching }
}

/**
 * Return the positions of the letters of `needle` in `text`, for marking them; both in lower case.
 * @param {string} text
 * @param {string} needle
 * @param {string} text
 */
export function places(needle, text) {
  const at = text.indexOf(needle)
  if (at >= 0) return Array.from(needle, (_, i) => at + i)
  const found = []
  for (const letter of needle) {
    const next = text.indexOf(letter, (found.at(-1) ?? -1) + 1)
    if (next < 0) return []
    found.push(next)
  }
  return found
}

/**
 * @param {string} text
 * @param {number} at
 */
function atWordStart(text, at) {
  return at === 0 || "/-_. :".includes(text[at - 1])
}
