// Normalizes texts for a search. No DOM.

/**
 * Return the text in lower case and composed (NFC), so that "é" is found whether typed as one letter or as two.
 * @param {string} text
 */
export function fold(text) {
  return text.toLowerCase().normalize("NFC")
}
