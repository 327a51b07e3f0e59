// Sizes on the wire: whether a request fits a message of the server, and cutting many ops into batches that do.

/** What the server takes until it has said what it takes: a message in bytes, a batch in ops. */
export const DEFAULT_LIMITS = { message: 1_048_576, batch: 128 }

const ENVELOPE = 96 // bytes around a payload: packet types, acknowledgement id, verb, and `op_id` where it is not chosen yet
const SPELLING = 8 // bytes around an op, and what its options take more on the wire than as they are given here

/** The bytes that a request takes; an upper bound where that is at most `enough`. */
export function messageBytes(verb, payload, enough = 0) {
  return ENVELOPE + verb.length + textBytes(JSON.stringify(payload), enough)
}

/**
 * Cuts `items` into batches, in order: yields arrays of ops that fit one message and one batch. `opsOf(item)` gives the ops of one
 * item, which stay together; it is called only when its batch is due, so that a caller who waits for each batch sees the newest state.
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

function textBytes(text, enough) {
  const most = text.length * 3 // a UTF-16 unit takes up to three bytes
  return most <= enough ? most : new TextEncoder().encode(text).length
}
