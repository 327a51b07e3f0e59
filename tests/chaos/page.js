// Runs in the page: a separate client that keeps its writes, a writer, and a record of each write's reported outcome.

export async function begin(user, first) {
  const { Client } = await import("/rkv.js")
  const kv = new Client({ user, keep: true })
  const state = { kv, next: first, writing: true, outcomes: {} }
  window.chaos = state
  const note = (numbers, outcome) => {
    for (const n of numbers) state.outcomes[n] = outcome
  }
  const settle = (numbers, answer) =>
    answer.then(
      () => note(numbers, "acknowledged"),
      ({ code, name }) => note(numbers, code ?? name),
    )
  // events with a promise: writes that an earlier page has left behind
  kv.addEventListener("adopted", ({ detail: { write, settled } }) => settle(numbersOf(write), settled))
  state.write = (key) => {
    const n = state.next++
    state.outcomes[n] = "pending"
    settle([n], kv.set(key, { n }))
  }
  state.batch = (keys) => {
    const numbers = keys.map(() => state.next++)
    note(numbers, "pending")
    settle(numbers, kv.batch(keys.map((key, i) => ({ op: "set", key, value: { n: numbers[i] } }))))
  }
  await kv.ready
  // kept from now on, independent of the setting before
  await kv.keep()
  write()

  function write() {
    if (!state.writing || kv.state === "signed out") return
    if (kv.pending.length < 40) {
      if (Math.random() < 0.2) state.batch(["x", "y"].map((name) => `${name}/${Math.floor(Math.random() * 4)}`))
      else state.write(`k${Math.floor(Math.random() * 6)}`)
    }
    setTimeout(write, 20 + Math.random() * 180)
  }
}

function numbersOf({ payload }) {
  return [payload.value, ...(payload.ops ?? []).map(({ value }) => value)]
    .filter((value) => value?.n !== undefined)
    .map(({ n }) => n)
}

/** Resolve once a write made now has been acknowledged: that proves the tab live, independent of its state. */
export async function live() {
  const { kv } = window.chaos
  const asked = performance.now()
  await kv.set("probe", "live")
  while (kv.state !== "live") await new Promise((go) => kv.addEventListener("state", go, { once: true }))
  return performance.now() - asked
}

/** Stop writing; resolve once everything is settled. */
export async function drain() {
  const { chaos } = window
  chaos.writing = false
  while (chaos.kv.pending.length > 0)
    await new Promise((go) => chaos.kv.addEventListener("pending", go, { once: true }))
  await new Promise((go) => setTimeout(go))
}

export async function signedOut() {
  const { kv } = window.chaos
  while (kv.state !== "signed out") await new Promise((go) => kv.addEventListener("state", go, { once: true }))
  await new Promise((go) => setTimeout(go, 50))
}

/** Return the outcomes so far and the state of the client. */
export function record() {
  const { kv, outcomes, next } = window.chaos
  const entries = Object.fromEntries(kv.entries().map(({ key, value, revision }) => [key, [value, revision]]))
  return {
    outcomes,
    next,
    outdated: kv.outdated,
    healed: kv.healed,
    entries,
    pending: kv.pending.length,
    state: kv.state,
  }
}
