import { hash } from 'node:crypto'
import { hostname } from 'node:os'

const day = '2026-12-01T09:00:00'
/** The time that a member of this name shows; others show the first. */
const times: Record<string, string> = {
  startedAt: `${day}.015Z`,
  finishedAt: `${day}.042Z`,
  expiresAt: '2026-12-31T09:00:00.000Z'
}
const idStart = '01kb7n3c4d5e6f7g8h9jkmnp'
const ownName = new RegExp(`(?<![\\w.-])${hostname().replaceAll('.', '\\.')}(?![\\w.-])`, 'g')
/** Members whose values differ between machines or runs, by the end of the way to them. */
const values: [way: RegExp, value: unknown][] = [
  [/\.cpu\.total$/, 8],
  [/\.memory\.total$/, 16 * 2 ** 30],
  [/\.cpu\.used$/, 0.25],
  [/\.memory\.used$/, 3 * 2 ** 30],
  [/\.capacity\.gpu$/, []],
  [/\.(score|scores\.[a-z]+)$/, 0.5],
  [/\.oldestSeconds$/, 0.2],
  [/\.os$/, 'linux'],
  [/\.arch$/, 'amd64'],
  [/\.storage\.(schemaVersion)$/, 1],
  [/\.tokenFile$/, '/var/lib/roost/token'],
  [/\.bytes$/, 274_432],
  [/\.(before|after)\.version$/, '9f2d41c07be8a356'],
  [/\.answer\.body\.limits$/, 'cgroup-v2']
]

/**
 * Gives everything that changes from run to run a value that stays: ids and hashes by the order in which they are first
 * seen, times by the name of their member, names of this machine.
 */
export function createSettler({ url, folder }: { url: string; folder: string }) {
  const ids = new Map<string, string>()
  const hashes = new Map<string, string>()
  const nth = (map: Map<string, string>, text: string, make: (n: number) => string): string => {
    const known = map.get(text) ?? make(map.size + 1)
    map.set(text, known)
    return known
  }

  const settleText = (text: string, key: string): string =>
    text
      .replaceAll(url, 'http://127.0.0.1:7070')
      .replaceAll(folder, '/backups')
      .replaceAll(/\broost_[A-Za-z0-9_-]{32}(?![A-Za-z0-9_-])/g, 'roost_kV8n3pQ1xR7tY5uW2zA4bC6dE9fG0hJs')
      .replaceAll(/whsec_[A-Za-z0-9+/]{43}=/g, 'whsec_dGhlLXNlY3JldC1vZi10aGUtZXhhbXBsZXMtMDEyMzQ1Ng==')
      .replaceAll(/\b[0-9a-hjkmnp-tv-z]{26}\b/g, (id) =>
        id.startsWith(idStart) ? id : nth(ids, id, (n) => idStart + String(n).padStart(2, '0'))
      )
      .replaceAll(/\b[0-9a-f]{64}\b/g, (text) => nth(hashes, text, (n) => hash('sha256', String(n))))
      .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, times[key] ?? `${day}.000Z`)
      .replaceAll(ownName, 'desk')

  const settle = (value: unknown, way: string): unknown => {
    const key = way.slice(way.lastIndexOf('.') + 1)
    if (key === 'requestId' && typeof value === 'string') return '5f0c3a9be214-1'
    const fixed = values.find(([pattern]) => pattern.test(way))
    if (fixed !== undefined && value !== null) return fixed[1]
    if (typeof value === 'string') return settleText(value, key)
    if (Array.isArray(value)) return value.map((member, i) => settle(member, `${way}.${i}`))
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, settle(member, `${way}.${name}`)])
    )
  }
  return <T>(value: T): T => settle(value, '') as T
}
