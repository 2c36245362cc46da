import { cut, plain } from './output.ts'

/** One line at the foot of a terminal that is drawn anew in place; where stderr is no terminal it is silent. */
export interface StatusLine {
  set(text: string): void
  clear(): void
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const frameMs = 100
/** What is over sooner than this is not worth a line. */
const quietMs = 300

export function createStatusLine(stream: NodeJS.WriteStream): StatusLine {
  if (!stream.isTTY) return { set() {}, clear() {} }
  let text: string | null = null
  let drawn = false
  let turn = 0
  let timer: NodeJS.Timeout | null = null
  const draw = () => {
    if (text === null) return
    drawn = true
    stream.write(`\r\x1b[2K${frames[turn++ % frames.length]} ${cut(text, (stream.columns || 80) - 3)}`)
  }
  return {
    set(next) {
      text = plain(next)
      if (timer !== null) return
      timer = setTimeout(() => {
        draw()
        timer = setInterval(draw, frameMs).unref()
      }, quietMs).unref()
    },
    clear() {
      text = null
      // Clears either kind of timer.
      if (timer !== null) clearTimeout(timer)
      timer = null
      if (drawn) stream.write('\r\x1b[2K')
      drawn = false
    }
  }
}
