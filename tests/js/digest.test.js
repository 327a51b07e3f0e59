import assert from "node:assert/strict"
import { test } from "node:test"

import { crc32, digest, share } from "../../static/js/client/digest.js"

test("the protocol's three examples", () => {
  assert.equal(digest([]), 0)
  assert.equal(digest([["a", 1]]), 293912779)
  assert.equal(
    digest([
      ["a", 1],
      ["é/b", 2],
      ["k", 2 ** 40 + 7],
    ]),
    4037345603,
  )
})

test("the checksum is that of zlib, over UTF-8", () => {
  assert.equal(crc32("123456789"), 0xcbf43926)
  assert.equal(crc32(""), 0)
  assert.equal(crc32("😀"), 0x54db544)
  assert.equal(crc32("é/b"), 0x22b5c002)
})

test("a share can be taken out again", () => {
  const pairs = [
    ["a", 3],
    ["b", 2 ** 53 - 1],
  ]
  const without = (digest(pairs) - share(crc32("b"), 2 ** 53 - 1)) >>> 0
  assert.equal(without, digest(pairs.slice(0, 1)))
})
