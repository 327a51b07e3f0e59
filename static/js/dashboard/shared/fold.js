// Texts as they are compared when something is looked for. No DOM.

/** The text in lower case, with composed letters: "é" is found whether it was typed as one letter or as two. */
export function fold(text) {
  return text.toLowerCase().normalize("NFC")
}
