// The models of the dashboard on a real client, whose connection the test controls (line.js); without a browser.

import { register } from "node:module"

import { Line } from "./line.js"
import { Space } from "./space.js"

const hooks = `
  export function resolve(name, context, next) {
    if (name.endsWith("vendor/socket.io.esm.min.js")) return { url: ${JSON.stringify(new URL("line.js", import.meta.url).href)}, shortCircuit: true }
    const [, lit] = name.match(/vendor\\/(lit-html\\/.*)/) ?? []
    return lit ? next(lit === "lit-html/lit-html.js" ? "lit-html" : lit, { ...context, parentURL: ${JSON.stringify(import.meta.url)} }) : next(name, context)
  }`
// A page reports the error in its console.
globalThis.reportError ??= (error) =>
  queueMicrotask(() => {
    throw error
  })

register(`data:text/javascript,${encodeURIComponent(hooks)}`)

const { Client } = await import("../../static/js/client/client.js")
const { DashboardModel } = await import("../../static/js/dashboard/dashboard-model.js")
const { NOTHING } = await import("../../static/js/dashboard/route.js")

/** Resolve when all promises that can settle now have settled. */
export const settled = () => new Promise((resolve) => setImmediate(resolve))

/** Create a live client and the server's end of its connection: {kv, line, space}. */
export async function client(space = new Space(), around = () => {}) {
  const kv = new Client({ url: "http://localhost", token: "rkv_test" })
  const line = Line.last
  const more = around(kv)
  line.opens()
  await sync(line, space)
  return { kv, line, space, ...more }
}

/** Answer syncs until none is waiting. */
export async function sync(line, space) {
  for (await settled(); line.waiting.includes("sync"); await settled())
    line.answer("sync", (payload) => space.sync(payload))
}

/** Push the change of the space's newest write. */
export function pushed(line, space) {
  line.push("change", space.change(space.revision - 1))
}

/** Create a client with a dashboard: {model, kv, line, space, told}; `told`: the page's announcements and toasts. */
export async function dashboard(space) {
  const page = await client(space, (kv) => {
    const told = []
    return {
      told,
      model: new DashboardModel(
        kv,
        pageOf(told, () => page.model),
      ),
    }
  })
  await page.model.opened.load()
  await page.model.undo.load()
  return page
}

function pageOf(told, model) {
  const page = {
    username: "ada",
    route: { ...NOTHING },
    go(changes) {
      page.route = { ...page.route, ...changes }
      model().follow(page.route)
    },
    say: (text) => told.push(text),
    alert: (text) => told.push(text),
    toast: (what, action) => told.push({ what, action }),
    moved() {},
    redraw() {},
    draw() {},
    news() {},
    focus() {},
    signedOut() {},
    failedToLoad() {},
  }
  return page
}
