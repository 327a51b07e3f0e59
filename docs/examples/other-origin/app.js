// A page of somebody else's, with users of its own: they sign up and in here, and their keys are kept by realtime_kv.
// The token stays in this module, so it is gone with the page; nobody else's script finds it.

const server = document.querySelector("meta[name=rkv-server]").content
const [said, door, home, keys, write, leave] = ["said", "door", "home", "keys", "write", "leave"].map((id) =>
  document.getElementById(id),
)

const rkv = await import(`${server}/rkv.js`).catch(() => null)
if (rkv) meet("Sign in, or sign up.")
else say(`${server} does not answer.`)

door.addEventListener("submit", async (event) => {
  event.preventDefault()
  const enter = rkv[event.submitter.value]
  try {
    const { token } = await enter({ url: server, ...Object.fromEntries(new FormData(door)) })
    door.reset()
    await live(token)
  } catch (refusal) {
    say(refusal.message)
  }
})

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
  door.hidden = true
  home.hidden = false
}

/** The list is what this tab holds, drawn anew whenever that has changed, by whichever tab. */
function show(kv) {
  keys.replaceChildren(
    ...kv.entries().map(({ key, value }) => {
      const item = document.createElement("li")
      item.textContent = `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`
      return item
    }),
  )
}

function meet(sentence) {
  keys.replaceChildren()
  home.hidden = true
  door.hidden = false
  say(sentence)
}

function say(sentence) {
  said.textContent = sentence
}
