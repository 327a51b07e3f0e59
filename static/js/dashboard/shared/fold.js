// Texts as they are compared when something is looked for. No DOM.

/** The text in lower case, with composed letters: "é" is found whether it was typed as one letter or as two. */
export function fold(text) {
  return text.toLowerCase().normalize("NFC")
}

/** A pattern that finds `text` in whatever case, composed or decomposed. */
export function patternOf(text) {
  const letters = Array.from(text.normalize("NFC"), (letter) => {
    const apart = letter.normalize("NFD")
    return apart === letter ? escaped(letter) : `(?:${escaped(letter)}|${escaped(apart)})`
  })
  return new RegExp(letters.join(""), "iu")
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
