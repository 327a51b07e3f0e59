import assert from "node:assert/strict"
import { readFileSync, readdirSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { test } from "node:test"

const ROOT = new URL("../../static/js/", import.meta.url).pathname

// The layers from the top: an import, also a dynamic one, leads to a lower layer or stays in its folder.
const FLOORS = [
  ["dashboard", "demo"],
  ["dashboard/commands"],
  ["dashboard/key", "dashboard/list"],
  ["dashboard/past", "dashboard/use", "dashboard/shell"],
  ["dashboard/shared"],
  ["account", "admin", "rkv.js", "accounts.js", "api.js", "preferences.js", "forms.js", "needs-server.js"],
  ["client.js"],
  ["kept.js"],
  ["connection.js", "store.js", "verbs.js", "origin.js"],
  ["polling.js", "replica.js", "outbox.js", "facts.js", "own.js"],
  ["sw.js", "values.js", "sizes.js", "requests.js", "liveness.js", "keys.js", "digest.js", "clipboard.js", "settings.js", "theme.js", "clock.js"],
]

const files = readdirSync(ROOT, { recursive: true }).filter((name) => name.endsWith(".js"))
const room = (file) => (dirname(file) === "." ? file : dirname(file))
const floor = (file) => FLOORS.findIndex((rooms) => rooms.includes(room(file)))

function importsOf(file) {
  const source = readFileSync(join(ROOT, file), "utf8")
  return [...source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)"(\.[^"]+)"/g)]
    .map(([, path]) => normalize(join(dirname(file), path)))
    .filter((path) => !path.startsWith("vendor/"))
}

test("every module stands in a room", () => {
  for (const file of files) assert.ok(floor(file) >= 0, `${file}: which floor is ${room(file)}?`)
})

test("the arrows point one way", () => {
  for (const file of files)
    for (const imported of importsOf(file)) {
      if (room(imported) === room(file)) continue
      assert.ok(floor(imported) > floor(file), `${file} imports ${imported}`)
    }
})

test("there are no circles", () => {
  const done = new Set()
  const visit = (file, path) => {
    assert.ok(!path.includes(file), [...path, file].join(" → "))
    if (done.has(file)) return
    for (const imported of importsOf(file)) visit(imported, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})
