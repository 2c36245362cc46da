import type { FieldError } from './schemas/problem.ts'

/** Deeper than any legal request and shallow enough for every recursive reader behind it. */
export const maxJsonDepth = 64

const QUOTE = 34,
  BACKSLASH = 92,
  OPEN_BRACE = 123,
  CLOSE_BRACE = 125,
  OPEN_BRACKET = 91,
  CLOSE_BRACKET = 93,
  COMMA = 44

/** One open object or array on the way down. */
interface Level {
  keys: string[] | null
  key: string
  index: number
}

/**
 * What JSON.parse lets pass and a job must not hold: a key twice in one object (the parser keeps the last in silence),
 * NUL characters (no program can be given one), nesting beyond {@link maxJsonDepth}. `text` must be valid JSON.
 * Returns at most `limit` faults, each with its pointer.
 */
export function findJsonFaults(text: string, limit = 20): FieldError[] {
  const faults: FieldError[] = []
  const levels: Level[] = []
  let expectsKey = false
  const add = (pointer: string, message: string) => faults.push({ in: 'body', pointer, message })
  for (let i = 0; i < text.length && faults.length < limit; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) {
      const start = i + 1
      let escaped = false
      let nul = false
      let half = false
      for (i++; text.charCodeAt(i) !== QUOTE; i++) {
        if (text.charCodeAt(i) !== BACKSLASH) continue
        escaped = true
        if (text.startsWith('u0000', i + 1)) nul = true
        if (text[i + 1] === 'u') half ||= isHalfCharacter(text, i)
        // A pair is one character: its second half is passed over with it.
        i += isPair(text, i) ? 7 : 1
      }
      const top = levels.at(-1)
      if (expectsKey && top?.keys) {
        const key = escaped ? (JSON.parse(`"${text.slice(start, i)}"`) as string) : text.slice(start, i)
        top.key = key
        if (top.keys.includes(key)) add(pointerOf(levels), 'is there twice; give it once')
        else top.keys.push(key)
        expectsKey = false
      }
      if (half) add(pointerOf(levels), 'holds half a character (a lone \\ud800 to \\udfff); remove it')
      if (nul) add(pointerOf(levels), 'holds a NUL character (\\u0000); remove it')
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (levels.length === maxJsonDepth) {
        add(pointerOf(levels), `is nested deeper than ${maxJsonDepth} levels; flatten it`)
        return faults
      }
      levels.push({ keys: code === OPEN_BRACE ? [] : null, key: '', index: 0 })
      expectsKey = code === OPEN_BRACE
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      levels.pop()
      expectsKey = false
    } else if (code === COMMA) {
      const top = levels.at(-1)
      if (top?.keys) expectsKey = true
      else if (top) top.index++
    }
  }
  return faults
}

const unitAt = (text: string, backslash: number): number =>
  text[backslash + 1] === 'u' ? Number.parseInt(text.slice(backslash + 2, backslash + 6), 16) : -1
const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff

/** Whether the escape at `backslash` is the first of a surrogate pair. */
const isPair = (text: string, backslash: number): boolean =>
  isHigh(unitAt(text, backslash)) && text[backslash + 6] === '\\' && isLow(unitAt(text, backslash + 6))

/** Half of a surrogate pair without the other: no UTF-8 can hold it, so it would be stored as another character. */
const isHalfCharacter = (text: string, backslash: number): boolean => {
  const unit = unitAt(text, backslash)
  return isLow(unit) || (isHigh(unit) && !isPair(text, backslash))
}

function pointerOf(levels: readonly Level[]): string {
  return levels.map((level) => '/' + (level.keys ? escapePointer(level.key) : String(level.index))).join('')
}

/** RFC 6901. */
export const escapePointer = (token: string): string => token.replaceAll('~', '~0').replaceAll('/', '~1')

/** JSON with the members of every object sorted by name: the same value however it was written down (as RFC 8785). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value))
    return `[${value.map((item) => (item === undefined ? 'null' : canonicalJson(item))).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`)
  return `{${members.join(',')}}`
}
