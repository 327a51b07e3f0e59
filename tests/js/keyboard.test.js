import assert from "node:assert/strict"
import { test } from "node:test"

import { commandFor, nameOf } from "../../static/js/dashboard/commands/keyboard.js"
import { aria, printed } from "../../static/js/dashboard/commands/printed.js"

const press = (key, more = {}) => ({ key, code: "", ...more })

test("keys are named as the registry names them, whatever keyboard wrote them", () => {
  const cases = [
    [press("n"), "n"],
    [press("N"), "n"], // caps lock
    [press("D", { shiftKey: true }), "Shift+D"],
    [press("d", { shiftKey: true }), "Shift+D"],
    [press("?", { shiftKey: true }), "?"],
    [press("ArrowUp", { shiftKey: true }), "Shift+ArrowUp"],
    [press(" "), "Space"],
    [press("k", { ctrlKey: true }), "Ctrl+K"],
    [press("Enter", { ctrlKey: true }), "Ctrl+Enter"],
    [press("z", { ctrlKey: true, shiftKey: true }), "Ctrl+Shift+Z"],
    [press("т", { code: "KeyN" }), "n"],
    [press("л", { code: "KeyK", ctrlKey: true }), "Ctrl+K"],
    [press("n", { altKey: true }), null],
    [press("[", { altKey: true, ctrlKey: true, getModifierState: (name) => name === "AltGraph" }), "["],
  ]
  for (const [event, name] of cases) assert.equal(nameOf(event, false), name)
})

test("Cmd is for Apple's keyboards what Ctrl is for others, and the other one is not ours", () => {
  assert.equal(nameOf(press("k", { metaKey: true }), true), "Ctrl+K")
  assert.equal(nameOf(press("k", { ctrlKey: true }), true), null)
  assert.equal(nameOf(press("k", { metaKey: true }), false), null)
})

test("keys are printed and said as they are on the machine", () => {
  assert.deepEqual(printed("Ctrl+K", false), ["Ctrl K"])
  assert.deepEqual(printed("Ctrl+K", true), ["⌘K"])
  assert.deepEqual(printed("g k", false), ["g", "k"])
  assert.deepEqual(printed("ArrowUp", false), ["↑"])
  assert.equal(aria("Ctrl+S", false), "Control+S")
  assert.equal(aria("Ctrl+S", true), "Meta+S")
  assert.equal(aria("g k"), null)
})

test("only what can be run here is found by its keys", () => {
  const commands = [
    { keys: ["x"] },
    { keys: ["x"], elsewhere: true, run() {} },
    { name: "found", keys: ["y", "x"], run() {} },
  ]
  assert.equal(commandFor("x", commands).name, "found")
  assert.equal(commandFor("z", commands), null)
})
