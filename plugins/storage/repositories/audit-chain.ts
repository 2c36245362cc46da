import { createHash } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { AuditRecord } from '../../../src/contracts/storage.ts'
import { canonicalJson } from '../../../src/json.ts'
import type { AuditTable } from '../tables.ts'

export type AuditRow = Selectable<AuditTable>

/** What the first entry names as the hash before it. */
export const noHash = '0'.repeat(64)
/** Stands where the records of an entry differ. */
const several = '*'

/** Members that an entry has once for all its records where they agree. */
const shared = [
  'actor',
  'actorName',
  'tenant',
  'action',
  'subject',
  'requestId',
  'address',
  'client'
] as const
type Shared = (typeof shared)[number]
const mayBeNull: ReadonlySet<Shared> = new Set(['requestId', 'address', 'client'])

/**
 * The records of a commit as one. Several stand in `detail.records`; there a record has only the members in which the
 * records differ, and the entry has the others.
 */
export function joinRecords(records: readonly AuditRecord[]): AuditRecord {
  const [first, ...rest] = records
  if (rest.length === 0) return first!
  const entry = { ...first! }
  const differing: Shared[] = []
  for (const member of shared) {
    if (rest.every((record) => record[member] === first![member])) continue
    differing.push(member)
    Object.assign(entry, { [member]: mayBeNull.has(member) ? null : several })
  }
  entry.detail = {
    records: records.map((record) => {
      const own: Record<string, unknown> = { at: record.at, detail: record.detail }
      for (const member of differing) own[member] = record[member]
      return own
    })
  }
  entry.at = records.reduce((latest, { at }) => Math.max(latest, at), 0)
  return entry
}

/** The records of an entry, each whole: what it lacks is the entry's. */
export function recordsOf<T extends { detail: Record<string, unknown> }>(entry: T): T[] {
  const { records } = entry.detail
  if (!Array.isArray(records)) return [entry]
  return (records as Partial<T>[]).map((own) => ({ ...entry, ...own }))
}

const columns = [
  ['action', 'action'],
  ['actor', 'actor'],
  ['actorName', 'actor_name'],
  ['address', 'address'],
  ['at', 'at'],
  ['client', 'client'],
  ['detail', 'detail'],
  ['requestId', 'request_id'],
  ['seq', 'seq'],
  ['subject', 'subject'],
  ['tenant', 'tenant']
] as const satisfies readonly (readonly [member: string, column: keyof AuditRow])[]
const columnsOfOld = columns.filter(([member]) => !['actorName', 'address', 'client'].includes(member))

/**
 * SHA-256 (hex) over the previous hash, a line feed and the entry's canonical JSON (members sorted by name, without
 * `hash` and `previousHash`). `detail` is canonical as it is stored; entries of before migration 003 had fewer members
 * and kept `detail` as it came.
 */
export function hashOf(row: Omit<AuditRow, 'hash'>): string {
  const isOld = row.actor_name === null
  const members = (isOld ? columnsOfOld : columns).map(([member, column]) => {
    const value = row[column]
    if (column !== 'detail') return `"${member}":${JSON.stringify(value)}`
    return `"detail":${isOld ? canonicalJson(JSON.parse(row.detail)) : row.detail}`
  })
  return createHash('sha256')
    .update(`${row.previous_hash}\n{${members.join(',')}}`)
    .digest('hex')
}

/** What is wrong with an entry that follows `previous`; null where it fits. */
export function faultOf(row: AuditRow, previous: { seq: number; hash: string }): string | null {
  const due = previous.seq + 1
  if (row.seq !== due) return `Entry ${due} is missing: after ${previous.seq} comes ${row.seq}`
  if (row.previous_hash !== previous.hash)
    return `Entry ${row.seq} does not follow the entry before it: one of them was replaced or moved`
  try {
    if (row.hash === hashOf(row)) return null
  } catch {
    // What is stored as its detail is no JSON any more.
  }
  return `Entry ${row.seq} is not what it was when it was written`
}
