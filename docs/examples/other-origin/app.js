// A page of somebody else's, with users of its own: they sign up and in here, and their keys are kept by realtime_kv.
// The token stays in this module, so it is gone with the page; nobody else's script finds it.

const server = document.querySelector("meta[name=rkv-server]").content
const element = (id) => document.getElementById(id)
const [said, form, home, kept, codes] = ["said", "form", "home", "kept", "codes"].map(element)
const [keys, write, leave] = ["keys", "write", "leave"].map(element)

const rkv = await import(`${server}/rkv.js`).catch(() => null)
if (rkv) meet("Sign in, or sign up.")
else say(`${server} does not answer.`)

form.addEventListener("submit", async (event) => {
  event.preventDefault()
  try {
    const who = { url: server, ...Object.fromEntries(new FormData(form)) }
    const { token, recovery_codes } = event.submitter.value === "signUp" ? await rkv.signUp(who) : await signIn(who)
    form.reset()
    list(codes, recovery_codes ?? [])
    kept.hidden = !recovery_codes
    await live(token)
  } catch (refusal) {
    say(refusal.message)
  }
})

async function signIn(who) {
  try {
    return await rkv.signIn(who)
  } catch (refusal) {
    if (refusal.code !== "second_step_needed") throw refusal
    return rkv.secondStep({ url: server, ticket: refusal.ticket, code: prompt(refusal.message) ?? "" })
  }
}

async function live(token) {
  const kv = await rkv.connect({ url: server, token })
  kv.addEventListener("change", () => show(kv))
  kv.onState((state) => (state === "signed out" ? meet("You are signed out.") : say(state)))
  show(kv)
  write.onsubmit = (event) => {
    event.preventDefault()
    const { key, value } = Object.fromEntries(new FormData(write))
    kv.set(key, value).then(
      () => write.reset(),
      (refusal) => say(refusal.message),
    )
  }
  leave.onclick = () => rkv.signOut({ url: server, token }).catch((refusal) => say(refusal.message))
  form.hidden = true
  home.hidden = false
}

/** The list is what this tab holds, drawn anew whenever that has changed, by whichever tab. */
function show(kv) {
  list(
    keys,
    kv.entries().map(({ key, value }) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`),
  )
}

function list(where, lines) {
  where.replaceChildren(
    ...lines.map((line) => {
      const item = document.createElement("li")
      item.textContent = line
      return item
    }),
  )
}

function meet(sentence) {
  list(keys, [])
  list(codes, [])
  home.hidden = true
  form.hidden = false
  say(sentence)
}

function say(sentence) {
  said.textContent = sentence
}
