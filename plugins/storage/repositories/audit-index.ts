import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { AuditEntry, AuditRecord } from '../../../src/contracts/storage.ts'
import type { Tables } from '../tables.ts'
import { recordsOf } from './audit-chain.ts'

/** What entries can be found by. By rarity: the first one that is asked for leads to the entries. */
export const indexed = ['subject', 'actor', 'action', 'tenant'] as const
export type Indexed = (typeof indexed)[number]

/** Values asked for by one statement: far fewer than it may have parameters. */
const valuesAtOnce = 1_000

/** The rows of the index that lead to an entry. */
export const indexRowsOf = (seq: number, records: readonly Pick<AuditRecord, Indexed>[]) =>
  indexed.flatMap((kind) =>
    [...new Set(records.map((record) => record[kind]))].map((value) => ({ kind, value, seq }))
  )

/** The first of these entries, in their order, that a filter would leave out; null where there is none. */
export async function firstUnindexed(
  db: Kysely<Tables>,
  entries: readonly AuditEntry[]
): Promise<{ seq: number; kind: Indexed } | null> {
  if (entries.length === 0) return null
  const due = entries.flatMap((entry) => indexRowsOf(entry.seq, recordsOf(entry)))
  const seqs = entries.map(({ seq }) => seq)
  const found = new Set<string>()
  for (const kind of indexed) {
    const values = [...new Set(due.filter((row) => row.kind === kind).map(({ value }) => value))]
    for (let at = 0; at < values.length; at += valuesAtOnce) {
      const rows = await db
        .selectFrom('audit_index')
        .select(['value', 'seq'])
        .where('kind', '=', kind)
        .where('value', 'in', values.slice(at, at + valuesAtOnce))
        .where('seq', '>=', Math.min(...seqs))
        .where('seq', '<=', Math.max(...seqs))
        .execute()
      for (const { value, seq } of rows) found.add(`${kind} ${seq} ${value}`)
      await nextTurn()
    }
  }
  return due.find(({ kind, value, seq }) => !found.has(`${kind} ${seq} ${value}`)) ?? null
}
