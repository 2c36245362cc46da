// A small terminal: what a recording of the command needs, and its picture as an animated SVG.

/** A stretch of a line in one style. */
export interface Run {
  column: number
  text: string
  style: string
}
export type Line = Run[]
/** What was on the screen from `at` (ms) on. */
export interface Shot {
  at: number
  lines: Line[]
}
export interface Recording {
  title: string
  rows: number
  columns: number
  shots: Shot[]
}

interface Cell {
  character: string
  style: string
}

const esc = '\u001b'
/** A control sequence with its parameters and final letter, another escape, or a character. */
const tokens = new RegExp(`${esc}\\[([0-9;?]*)([A-Za-z])|${esc}.|[^]`, 'gu')

/** Understands line ends, backspace, clearing of lines, colours; that is all that the command uses. */
export function createScreen(columns: number, rows: number) {
  const grid: Cell[][] = [[]]
  let row = 0
  let column = 0
  let style = ''

  function newLine(): void {
    row++
    if (row === rows) {
      grid.shift()
      row--
    }
    grid[row] ??= []
  }

  function put(character: string): void {
    if (column === columns) {
      newLine()
      column = 0
    }
    const line = grid[row]!
    while (line.length < column) line.push({ character: ' ', style: '' })
    line[column++] = { character, style }
  }

  /** CSI sequences; those that are not known move nothing. */
  function control(parameters: string, final: string): void {
    const numbers = parameters.split(';').map(Number)
    if (final === 'K') grid[row] = numbers[0] === 2 ? [] : grid[row]!.slice(0, column)
    else if (final === 'm') for (const number of numbers) style = styleOf(number, style)
  }

  return {
    write(text: string): void {
      for (const [token, parameters, final] of text.matchAll(tokens)) {
        if (final !== undefined) control(parameters ?? '', final)
        else if (token === '\r') column = 0
        else if (token === '\n') newLine()
        else if (token === '\b') column = Math.max(0, column - 1)
        else if (token >= ' ') put(token)
      }
    },
    lines: (): Line[] => grid.map(toRuns)
  }
}

function styleOf(number: number, style: string): string {
  if (number === 0) return ''
  if (number === 1) return `${style} bold`.trim()
  if (number === 2) return `${style} dim`.trim()
  const colour = { 31: 'red', 32: 'green', 33: 'yellow', 34: 'blue', 36: 'cyan', 90: 'dim' }[number]
  return colour === undefined ? style : `${style} ${colour}`.trim()
}

function toRuns(cells: Cell[]): Line {
  const runs: Line = []
  for (const [column, { character, style }] of cells.entries()) {
    const last = runs.at(-1)
    if (last !== undefined && last.style === style) last.text += character
    else runs.push({ column, text: character, style })
  }
  return runs.map((run) => ({ ...run, text: run.text.trimEnd() })).filter(({ text }) => text !== '')
}

const cellWidth = 7.83
const lineHeight = 18
const padding = 14
const titleHeight = 26
const gap = 12
/** The last screen stands this long before it begins anew. */
const restMs = 6_000
/** Changes closer together than this are one. */
const stepMs = 80

/** The recordings, one above the other, on one clock. Without animation the last screen is seen. */
export function toSvg(recordings: readonly Recording[]): string {
  const width = Math.ceil(Math.max(...recordings.map(({ columns }) => columns)) * cellWidth + 2 * padding)
  const end = Math.max(...recordings.map(({ shots }) => shots.at(-1)!.at))
  const parts: string[] = []
  let top = 0
  for (const { title, rows, shots } of recordings) {
    const height = titleHeight + rows * lineHeight + padding
    const y = top + titleHeight
    parts.push(
      `<rect y="${top}" width="${width}" height="${height}" rx="8" fill="#16181d"/>`,
      `<text class="dim" x="${padding}" y="${top + 18}">${escape(title)}</text>`,
      ...Array.from({ length: rows }, (_, row) =>
        lineOverTime(row, y + (row + 1) * lineHeight, shots, end)
      ).flat()
    )
    top += height + gap
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top - gap}" width="${width}" height="${top - gap}" role="img" aria-label="A recording of two terminals">
<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;fill:#d7dae0;white-space:pre}.bold{font-weight:bold}.dim{fill:#8a909c}.red{fill:#ff7b72}.green{fill:#7ee787}.yellow{fill:#e3b341}.blue{fill:#79c0ff}.cyan{fill:#76e3ea}</style>
<g visibility="hidden"><set id="loop" attributeName="visibility" to="hidden" begin="0s;loop.end" dur="${seconds(end + restMs)}"/></g>
${parts.join('\n')}
</svg>
`
}

/** Each content that a line had, shown for as long as it had it. */
function lineOverTime(row: number, y: number, shots: readonly Shot[], end: number): string[] {
  const spans: { from: number; to: number; svg: string }[] = []
  for (const [index, { at, lines }] of shots.entries()) {
    const next = shots[index + 1]
    if (next !== undefined && next.at - at < stepMs) continue
    const svg = (lines[row] ?? []).map((run) => runText(run, y)).join('')
    const last = spans.at(-1)
    if (last?.svg === svg) continue
    if (last !== undefined) last.to = at
    spans.push({ from: at, to: end + restMs, svg })
  }
  return spans
    .filter(({ svg }) => svg !== '')
    .map(({ from, to, svg }) => {
      // What is there at the end is also there where nothing moves.
      if (to > end)
        return from === 0
          ? svg
          : `<g><set attributeName="visibility" to="hidden" begin="loop.begin" dur="${seconds(from)}"/>${svg}</g>`
      return `<g visibility="hidden"><set attributeName="visibility" to="visible" begin="loop.begin+${seconds(from)}" dur="${seconds(to - from)}"/>${svg}</g>`
    })
}

function runText({ column, text, style }: Run, y: number): string {
  const x = Math.round((padding + column * cellWidth) * 100) / 100
  const length = Math.round(text.length * cellWidth * 100) / 100
  return `<text${style === '' ? '' : ` class="${style}"`} x="${x}" y="${y}" textLength="${length}" xml:space="preserve">${escape(text)}</text>`
}

const seconds = (ms: number): string => `${Math.round(ms) / 1000}s`

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
