// The digest that proves that a tab and the server hold the same entries: a sum over the live keys, so a changed key
// costs one subtraction and one addition. CRC-32 as in zlib, fmix32 as in MurmurHash3.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

const UTF8 = new TextEncoder()

/**
 * Return the CRC-32 of the key's UTF-8 bytes, as an unsigned number.
 * @param {string} key
 */
export function crc32(key) {
  let crc = 0xffffffff
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i)
    if (unit > 0x7f) return crcOfBytes(UTF8.encode(key))
    crc = (crc >>> 8) ^ TABLE[(crc ^ unit) & 0xff]
  }
  return ~crc >>> 0
}

/** @param {Uint8Array} bytes */
function crcOfBytes(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]
  return ~crc >>> 0
}

/**
 * Return the summand of one live key. `crc` is `crc32(key)`; the revision may be as large as 2^53 − 1.
 * @param {number} crc
 * @param {number} revision
 */
export function share(crc, revision) {
  // Math.imul takes its arguments modulo 2^32 by itself, exactly, for every safe integer.
  return fmix32((crc + Math.imul(revision, 0x9e3779b1)) >>> 0)
}

/** @param {number} hash */
function fmix32(hash) {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * Return the digest of a whole space, given as [key, revision] pairs.
 * @param {Iterable<[string, number]>} pairs
 */
export function digest(pairs) {
  let sum = 0
  for (const [key, revision] of pairs) sum = (sum + share(crc32(key), revision)) >>> 0
  return sum
}
