import type { Insertable, Kysely } from 'kysely'
import type { AuditAnchor, AuditRecord, AuditWriter } from '../../../src/contracts/storage.ts'
import { canonicalJson } from '../../../src/json.ts'
import type { Session } from '../session.ts'
import type { AuditTable, Tables } from '../tables.ts'
import { hashOf, joinRecords, noHash } from './audit-chain.ts'
import { indexRowsOf } from './audit-index.ts'

/** Rows of the index written by one statement: its text is the same for most commits. */
const indexRowsAtOnce = 16

/** Where a dialect stores an entry and the rows that lead to it. */
export interface AuditInserts {
  entry(row: Insertable<AuditTable>): Promise<void>
  index(rows: ReturnType<typeof indexRowsOf>): Promise<void>
}

/** Chains the records of commits, one entry for each. */
export interface AuditChain {
  /** Writes the next entry. The caller holds the write lock and commits. */
  add(records: readonly AuditRecord[]): Promise<void>
  /** What became of the transaction of `add`. */
  settle(isStored: boolean): void
}

/** Records wait in the session until the commit, where the chain writes them as one entry. */
export function createAuditWriter(session: Session): AuditWriter {
  return {
    async append(record) {
      session.traces.records.push(record)
    }
  }
}

export function auditInserts(db: Kysely<Tables>): AuditInserts {
  return {
    async entry(row) {
      await db.insertInto('audit').values(row).execute()
    },
    async index(rows) {
      for (let at = 0; at < rows.length; at += indexRowsAtOnce)
        await db
          .insertInto('audit_index')
          .values(rows.slice(at, at + indexRowsAtOnce))
          // Where somebody cut entries off, rows that led to them may be left; the service goes on all the same.
          .onConflict((conflict) => conflict.doNothing())
          .execute()
    }
  }
}

/**
 * The chain's head stays in memory from one commit to the next: nobody else writes while this process holds the
 * database. `tenure` tells for how long it has: where it is another number, the head is read anew.
 */
export function createAuditChain(
  db: Kysely<Tables>,
  inserts: AuditInserts = auditInserts(db),
  tenure: () => number = () => 0
): AuditChain {
  type Known = { tenure: number; head: AuditAnchor }
  let known: Known | null = null
  let next: Known | null = null

  return {
    async add(records) {
      next = null
      if (records.length === 0) return
      const current = tenure()
      const last = known?.tenure === current ? known.head : await headOf(db)
      const entry = joinRecords(records)
      const row = {
        seq: (last?.seq ?? 0) + 1,
        at: entry.at,
        actor: entry.actor,
        actor_name: entry.actorName,
        tenant: entry.tenant,
        action: entry.action,
        subject: entry.subject,
        request_id: entry.requestId,
        address: entry.address,
        client: entry.client,
        detail: canonicalJson(entry.detail),
        previous_hash: last?.hash ?? noHash
      }
      const head = { seq: row.seq, hash: hashOf(row) }
      await inserts.entry({ ...row, hash: head.hash })
      await inserts.index(indexRowsOf(row.seq, records))
      next = { tenure: current, head }
    },

    settle(isStored) {
      if (!isStored) known = null
      else if (next !== null) known = next
      next = null
    }
  }
}

export async function headOf(db: Kysely<Tables>): Promise<AuditAnchor | null> {
  const last = await db
    .selectFrom('audit')
    .select(['seq', 'hash'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  return last ?? null
}
