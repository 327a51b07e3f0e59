import assert from "node:assert/strict"
import { test } from "node:test"

import { nameOf } from "../../static/js/dashboard/commands/keyboard.js"
import { COMMANDS } from "../../static/js/dashboard/commands/registry.js"

const handled = COMMANDS.filter(({ run, elsewhere }) => run && !elsewhere)

test("a name stands for one command, and so do its keys", () => {
  for (const of of [COMMANDS.map(({ name }) => name), handled.flatMap(({ keys }) => keys)])
    assert.deepEqual(
      of.filter((one, at) => of.indexOf(one) !== at),
      [],
    )
})

test("no command hides behind the first key of a sequence", () => {
  const firsts = handled.flatMap(({ keys }) => keys.filter((key) => key.includes(" ")).map((key) => key.split(" ")[0]))
  for (const { name, keys } of handled) for (const key of keys) assert.ok(!firsts.includes(key), name)
})

test("every command says what it does, where it belongs, and keys that a keyboard can write", () => {
  for (const { name, title, group, keys } of COMMANDS) {
    assert.ok(title && group, name)
    for (const key of keys.flatMap((key) => key.split(" "))) {
      const parts = key === "+" ? ["+"] : key.split("+")
      const last = parts.at(-1)
      const event = {
        key: last === "Space" ? " " : last,
        ctrlKey: parts.includes("Ctrl"),
        shiftKey: parts.includes("Shift"),
      }
      assert.equal(nameOf(event, false), key, name)
    }
  }
})
