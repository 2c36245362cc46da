import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'

export type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'dim' | 'bold'
const codes: Record<Colour, number> = { red: 31, green: 32, yellow: 33, blue: 36, dim: 2, bold: 1 }
export type Paint = (colour: Colour | null, text: string) => string

/** Colours for a stream: on a terminal only, and not where NO_COLOR is set (no-color.org). */
export function createPaint(stream: { isTTY?: boolean | undefined }, env: NodeJS.ProcessEnv): Paint {
  const on = stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  return (colour, text) => (on && colour !== null ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text)
}

/** Writes and waits while the stream is full, so that a slow reader costs no memory. */
export async function write(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain')
}

/** Text of others as one safe line: a job's name or message must not steer the reader's terminal. */
export const plain = (text: string): string =>
  text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim()

/** Most letters of a {@link phrase}. */
const maxPhrase = 72

/** The first phrase of a text of others, on one safe line; what is left out is told by an ellipsis. */
export function phrase(text: string): string {
  const whole = plain(text)
  const first = whole.split(/[;.] | \(/, 1)[0]!
  return cut(first === whole ? whole : `${first}…`, maxPhrase)
}

/** The last column is not cut below this. */
const minLast = 20

const width = (text: string): number => Array.from(stripVTControlCharacters(text)).length

export interface TableOptions {
  /** Columns of the terminal; the last column of the table is cut to fit. Infinity = never. */
  columns?: number
  paint?: Paint
}

/** Aligned columns; numbers (all cells of the column end in a digit) to the right. Ends with a newline. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { columns = Infinity, paint = (_, text) => text }: TableOptions = {}
): string {
  const last = header.length - 1
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => width(row[i] ?? ''))))
  const numeric = header.map(
    (_, i) =>
      i > 0 &&
      rows.length > 0 &&
      rows.every((row) => /^[\d.,]+$/.test(stripVTControlCharacters(row[i] ?? '')))
  )
  const line = (cells: readonly string[]) => {
    const shown = cells.map((cell, i) => {
      const pad = ' '.repeat(Math.max(0, widths[i]! - width(cell)))
      return numeric[i] === true ? pad + cell : i === last ? cell : cell + pad
    })
    const before = shown.slice(0, last).join('  ')
    return `${before}${before === '' ? '' : '  '}${cut(shown[last] ?? '', Math.max(minLast, columns - width(before) - 2))}`.trimEnd()
  }
  return [paint('dim', line(header)), ...rows.map(line)].join('\n') + '\n'
}

/** At most `length` characters; a cut is told by an ellipsis. Text with colours is left as it is. */
export function cut(text: string, length: number): string {
  if (width(text) <= length || text.includes('\x1b')) return text
  return length < 2
    ? ''
    : `${Array.from(text)
        .slice(0, length - 1)
        .join('')}…`
}

const steps = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
  [1, 's']
] as const

/** `850ms`, `12s`, `3m20s`, `5h`, `2d`: two places below ten of the larger unit. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`
  let rest = Math.round(ms / 1000)
  for (const [i, [seconds, unit]] of steps.entries()) {
    if (rest < seconds) continue
    const whole = Math.floor(rest / seconds)
    rest -= whole * seconds
    const next = steps[i + 1]
    const small = next === undefined ? 0 : Math.floor(rest / next[0])
    return `${whole}${unit}${whole < 10 && small > 0 ? `${small}${next![1]}` : ''}`
  }
  return '0s'
}

/** `12s ago`; of a time to come `in 12s`. */
export function ago(time: string, now: number): string {
  const ms = now - Date.parse(time)
  return ms < 0 ? `in ${duration(rounded(-ms))}` : `${duration(ms)} ago`
}

/** To the places that are shown: of 90 days to come a moment has gone when they are told. */
function rounded(ms: number): number {
  const at = steps.findIndex(([seconds]) => ms >= seconds * 1000)
  const step = at === -1 ? undefined : (steps[ms >= 10_000 * steps[at]![0] ? at : at + 1] ?? steps[at])
  return step === undefined ? ms : Math.round(ms / step[0] / 1000) * step[0] * 1000
}

/** `1.5 GiB`. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10))
  const amount = count / 2 ** (10 * power)
  return `${power === 0 || amount >= 100 ? Math.round(amount) : Math.round(amount * 10) / 10} ${units[power]}`
}

/** At most two decimals. */
export const number = (value: number): string => String(Math.round(value * 100) / 100)

/** A command as one would type it. */
export const shellLine = (words: readonly string[]): string =>
  words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
