// Reads {name: [text, other]} and fails where the two scripts differ in more than their comments; writes {name: comments of the other}.

import assert from "node:assert/strict"
import { text } from "node:stream/consumers"

import { parse } from "acorn"

function partsOf(source) {
  const tokens = []
  const comments = []
  const onComment = (_block, content) => comments.push(content)
  const options = { ecmaVersion: "latest", sourceType: "module", onComment }
  parse(source, {
    ...options,
    onToken: ({ type, value }) =>
      tokens.push([type.label, value instanceof RegExp ? String(value) : (value?.pattern ?? value)]),
  })
  return { tokens, comments }
}

const left = {}
for (const [name, [one, other]] of Object.entries(JSON.parse(await text(process.stdin)))) {
  const { tokens, comments } = partsOf(other)
  assert.deepEqual(tokens, partsOf(one).tokens, name)
  left[name] = comments
}
console.log(JSON.stringify(left))
