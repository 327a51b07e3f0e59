// The demonstration's page: creates the devices, starts the scenario and renders.

import { render } from "../vendor/lit-html/lit-html.js"
import { Device } from "./device.js"
import { Director } from "./scenario-runner.js"
import { stageView } from "./view.js"

const LOOK_EVERY = 250

class Stage {
  /** @type {any[]} */
  proxies = []
  token = ""

  async look() {
    Object.assign(this, await (await fetch("/stage")).json())
    return this
  }

  kill() {
    return this.#order({ do: "kill" })
  }

  cut(device, seconds) {
    return this.#order({ do: "cut", device, ...(seconds === undefined ? {} : { seconds }) })
  }

  end(outcome) {
    return this.#order({ do: "end", ...outcome })
  }

  #order(order) {
    return fetch("/act", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(order),
    })
  }
}

const el = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const stage = await new Stage().look()
const devices = stage.proxies.map(({ name, url }, number) => new Device(number, { name, url, token: stage.token }))
await Promise.all(devices.map(({ kv }) => kv.ready))
const director = new Director(devices, stage)
const act = { kill: () => stage.kill(), cut: (number) => stage.cut(number), again: () => location.reload() }
let told = false

function draw() {
  render(stageView({ devices, stage, director, act }), el("main"))
  if (director.outcome && !told) {
    told = true
    el("polite").textContent = el("verdict").textContent
  }
  requestAnimationFrame(draw)
}

async function keepLooking() {
  await stage.look().catch(() => {})
  setTimeout(keepLooking, LOOK_EVERY)
}

el("main").replaceChildren()
keepLooking()
director.begin()
draw()
