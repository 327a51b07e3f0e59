// The status of the connection in a word. No DOM.

import { ago } from "../shared/time-format.js"

const TRYING = 10_000 // a lost connection counts as reconnecting for this long

/** Return the status of the connection: {look, text, more}; `look` is the state, or "reconnecting". */
export function look({ kv, offlineSince }, now, online = true) {
  const { state, tabs } = kv
  if (state === "live")
    return { look: state, text: "Live", more: tabs ? ` · ${tabs.length} ${tabs.length === 1 ? "tab" : "tabs"}` : "" }
  if (state === "catching up") return { look: state, text: "Catching up", more: "" }
  if (state === "signed out") return { look: state, text: "Signed out", more: "" }
  if (!online || offlineSince === null || now - offlineSince > TRYING)
    return { look: "offline", text: "Offline", more: "" }
  return {
    look: "reconnecting",
    text: "Reconnecting…",
    more: kv.lastChange ? ` last change ${ago(kv.lastChange, now - kv.clockAhead)}` : "",
  }
}
