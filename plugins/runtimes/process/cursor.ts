import type { Stream } from './attempt-files.ts'

/** How far the output of an attempt has been reported: bytes read, and bytes told as dropped, per stream. */
export interface Cursor {
  stdout: number
  stderr: number
  dropped: Record<Stream, number>
}

/** The stored form; null (never stored) is the beginning. Throws on what is no cursor of this runtime. */
export function parseCursor(text: string | null): Cursor {
  if (text === null) return { stdout: 0, stderr: 0, dropped: { stdout: 0, stderr: 0 } }
  const value: unknown = JSON.parse(text)
  if (!isRecord(value)) throw new Error(`Not a cursor of the process runtime: ${text}`)
  const dropped = isRecord(value.dropped) ? value.dropped : {}
  return {
    stdout: count(value.stdout),
    stderr: count(value.stderr),
    dropped: { stdout: count(dropped.stdout), stderr: count(dropped.stderr) }
  }
}

export function formatCursor({ stdout, stderr, dropped }: Cursor): string {
  const hasDropped = dropped.stdout > 0 || dropped.stderr > 0
  return JSON.stringify(hasDropped ? { stdout, stderr, dropped } : { stdout, stderr })
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
const count = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0
