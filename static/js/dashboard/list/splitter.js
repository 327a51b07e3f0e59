// The splitter between list and key: dragged, or moved by the arrow keys; its position is stored.

const NAME = "rkv-list-width"
const STEP = 16
const LEAST = 260

/**
 * Make `divider` resize `list`. The width is set as `--list-width` on the parent of both, initially to the stored one.
 */
export function divide(divider, list) {
  const model = divider.parentElement
  const most = () => Math.max(LEAST, model.clientWidth - 360)
  const tell = () => {
    divider.ariaValueMax = most()
    divider.ariaValueNow = Math.round(list.offsetWidth)
  }
  const set = (width) => {
    model.style.setProperty("--list-width", `${Math.round(Math.min(most(), Math.max(LEAST, width)))}px`)
    tell()
  }
  const keep = (width = list.offsetWidth) => {
    try {
      localStorage.setItem(NAME, width)
    } catch {
      // then the width lasts as long as the page
    }
  }
  const dragged = (event) => {
    const { left, right } = list.getBoundingClientRect()
    set(getComputedStyle(model).direction === "rtl" ? right - event.clientX : event.clientX - left)
  }
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId)
    divider.classList.add("dragged")
    divider.addEventListener("pointermove", dragged)
    event.preventDefault()
  })
  divider.addEventListener("lostpointercapture", () => {
    divider.classList.remove("dragged")
    divider.removeEventListener("pointermove", dragged)
    if (model.style.getPropertyValue("--list-width")) keep()
  })
  divider.addEventListener("dblclick", () => {
    model.style.removeProperty("--list-width")
    keep("")
  })
  divider.addEventListener("keydown", (event) => {
    const width = { ArrowLeft: list.offsetWidth - STEP, ArrowRight: list.offsetWidth + STEP, Home: LEAST, End: most() }[
      event.key
    ]
    if (width === undefined) return
    event.preventDefault()
    set(width)
    keep()
  })
  const width = recall()
  if (width >= LEAST) model.style.setProperty("--list-width", `min(${width}px, 100% - 360px)`)
  new ResizeObserver(tell).observe(list)
}

function recall() {
  try {
    return Number(localStorage.getItem(NAME))
  } catch {
    return 0 // storage may be switched off
  }
}
