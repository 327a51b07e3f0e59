import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { test } from "node:test"

const ROOT = new URL("../../static/js/", import.meta.url).pathname

// The layers from the top: an import, also a dynamic one, leads to a lower layer or stays in its folder.
const LAYERS = [
  ["dashboard", "demo"],
  ["dashboard/commands"],
  ["dashboard/key", "dashboard/list"],
  ["dashboard/history", "dashboard/snippets", "dashboard/shell"],
  ["dashboard/shared"],
  ["pages", "rkv.js", "client/auth.js"],
  ["client/client.js"],
  ["client/offline/persistence.js"],
  ["client/connection.js", "client/offline/indexed-db.js", "client/verbs.js", "client/origin.js"],
  ["client/polling.js", "client/replica.js", "client/outbox.js", "client/key-change.js", "client/own-writes.js"],
  ["client", "lib", "service-worker.js"],
]

const files = readdirSync(ROOT, { recursive: true }).filter((name) => name.endsWith(".js"))
const listed = new Set(LAYERS.flat())
/** The part of the program that a file belongs to: the file itself if it is listed, or its folder without `model`. */
const part = (file) => (listed.has(file) ? file : dirname(file).replace(/\/model$/, ""))
const layer = (file) => LAYERS.findIndex((parts) => parts.includes(part(file)))

function importsOf(file) {
  // without comments: a type may come from any layer
  const source = readFileSync(join(ROOT, file), "utf8").replaceAll(/\/\*\*.*?\*\//gs, "")
  return [...source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)"(\.[^"]+)"/g)]
    .map(([, path]) => normalize(join(dirname(file), path)))
    .filter((path) => !path.startsWith("vendor/"))
}

test("every module belongs to a layer", () => {
  for (const file of files) assert.ok(layer(file) >= 0, `${file}: which layer is ${part(file)}?`)
})

test("imports lead to lower layers", () => {
  for (const file of files)
    for (const imported of importsOf(file)) {
      if (part(imported) === part(file)) continue
      assert.ok(layer(imported) > layer(file), `${file} imports ${imported}`)
    }
})

test("there are no import cycles", () => {
  const done = new Set()
  const visit = (file, path) => {
    assert.ok(!path.includes(file), [...path, file].join(" → "))
    if (done.has(file)) return
    for (const imported of importsOf(file)) visit(imported, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})
