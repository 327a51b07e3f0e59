// Message sizes: measures requests, and splits many ops into batches that fit the server's limits.

/** @typedef {{ message: number, batch: number }} Limits The limits of a message in bytes, and of a batch in ops. */

/** Default limits until the server has told its own: a message in bytes, a batch in ops. */
export const DEFAULT_LIMITS = { message: 1_048_576, batch: 128 }

const ENVELOPE = 96 // bytes around a payload: packet types, acknowledgement id, verb, and op_id if not chosen yet
const SPELLING = 8 // bytes around an op, and the extra length of the wire names of its options

/**
 * Return the size of a request in bytes; an upper bound if that is at most `enough`.
 * @param {string} verb
 * @param {object} payload
 */
export function messageBytes(verb, payload, enough = 0) {
  return ENVELOPE + verb.length + textBytes(JSON.stringify(payload), enough)
}

/**
 * Split `items` into batches, in order: yield arrays of ops that fit one message and one batch. `opsOf(item)` returns
 * the ops of one item, which stay together; it is called only when its batch is due, so a caller that waits for each
 * batch sees the newest state.
 * @template T
 * @param {Iterable<T>} items
 * @param {(item: T) => object[]} opsOf
 * @param {Limits} limits
 * @returns {Generator<object[], void>}
 */
export function* parts(items, opsOf, { message, batch } = DEFAULT_LIMITS) {
  let part = []
  let bytes = messageBytes("batch", { ops: [] })
  const empty = bytes
  for (const item of items) {
    const ops = opsOf(item)
    const more = ops.reduce((sum, op) => sum + textBytes(JSON.stringify(op), 0) + SPELLING, 0)
    if (part.length > 0 && (part.length + ops.length > batch || bytes + more > message)) {
      yield part
      part = []
      bytes = empty
    }
    part.push(...ops)
    bytes += more
  }
  if (part.length > 0) yield part
}

/** @param {string} text @param {number} enough */
function textBytes(text, enough) {
  const most = text.length * 3 // a UTF-16 unit takes up to three bytes
  return most <= enough ? most : new TextEncoder().encode(text).length
}
