import { UsageError } from './exit.ts'

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** Seconds of `90`, `30s`, `1h30m`, `2d`. Throws a {@link UsageError} that names the flag. */
export function parseDuration(text: string, flag: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text)
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([smhd])/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new UsageError(
      `${flag} must be seconds, or a number with s, m, h or d, such as 90, 30s, 1h30m; got ${JSON.stringify(text)}`
    )
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * secondsOf[unit!]!, 0)
}

/** A point in time as ISO 8601: that long before `now` (`2h`), or a date. Throws a {@link UsageError} that names the flag. */
export function parseTime(text: string, flag: string, now: number): string {
  if (/^[\d.]+[smhd]/.test(text)) return new Date(now - parseDuration(text, flag) * 1000).toISOString()
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return new Date(at).toISOString()
  throw new UsageError(
    `${flag} must be a date such as 2026-11-25T08:00:00Z, or how long ago, such as 2h; got ${JSON.stringify(text)}`
  )
}

/** A whole number within bounds. Throws a {@link UsageError} that names the flag. */
export function parseInteger(
  text: string,
  flag: string,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER
): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new UsageError(`${flag} must be a whole number ${range}; got ${JSON.stringify(text)}`)
}

/** `KEY=VALUE`; the value may hold further `=`. Throws a {@link UsageError} that names the flag. */
export function parsePair(text: string, flag: string): [key: string, value: string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`${flag} must be KEY=VALUE; got ${JSON.stringify(text)}`)
  return [text.slice(0, at), text.slice(at + 1)]
}
