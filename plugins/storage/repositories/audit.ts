import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely, Selectable } from 'kysely'
import type { AuditEntry, AuditReader, AuditRecord, AuditWriter } from '../../../src/contracts/storage.ts'
import { RoostError } from '../../../src/errors.ts'
import type { Session } from '../session.ts'
import type { Tables } from '../tables.ts'

const noHash = '0'.repeat(64)
const entriesAtOnce = 500
/** Stands where the records of an entry differ. */
const several = '*'

export function createAuditReader(db: Kysely<Tables>): AuditReader {
  return {
    async list({ tenant, action, limit, cursor }) {
      let query = db.selectFrom('audit').selectAll('audit')
      if (cursor !== undefined) query = query.where('audit.seq', '<', seqOf(cursor))
      if (tenant !== undefined || action !== undefined) {
        query = query.where('audit.seq', 'in', (eb) => {
          let seqs = eb.selectFrom('audit_subjects').select('audit_subjects.seq')
          if (tenant !== undefined) seqs = seqs.where('audit_subjects.tenant', '=', tenant)
          if (action !== undefined) seqs = seqs.where('audit_subjects.action', '=', action)
          return seqs
        })
      }
      const rows = await query
        .orderBy('audit.seq', 'desc')
        .limit(limit + 1)
        .execute()
      const items = rows.slice(0, limit).map((row) => onlyMatching(toEntry(row), tenant, action))
      return { items, cursor: rows.length > limit ? String(items.at(-1)?.seq ?? '') : null }
    },

    async verify() {
      let previous = { seq: 0, hash: noHash }
      for (;;) {
        const rows = await db
          .selectFrom('audit')
          .selectAll()
          .where('seq', '>', previous.seq)
          .orderBy('seq')
          .limit(entriesAtOnce)
          .execute()
        for (const row of rows) {
          const { hash, ...entry } = toEntry(row)
          const fits =
            entry.seq === previous.seq + 1 && entry.previousHash === previous.hash && hash === hashOf(entry)
          if (!fits) return { entries: previous.seq, brokenAt: entry.seq }
          previous = { seq: entry.seq, hash }
        }
        if (rows.length < entriesAtOnce) return { entries: previous.seq, brokenAt: null }
        await nextTurn()
      }
    }
  }
}

/** Records wait in the session until the commit, where `chainRecords` writes them as one entry. */
export function createAuditWriter(session: Session): AuditWriter {
  return {
    async append(record) {
      session.traces.records.push(record)
    }
  }
}

/** Writes the records of a commit as the next entry of the chain. The caller holds the write lock and commits. */
export async function chainRecords(db: Kysely<Tables>, records: readonly AuditRecord[]): Promise<void> {
  if (records.length === 0) return
  const last = await db
    .selectFrom('audit')
    .select(['seq', 'hash'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  const entry = { ...joined(records), seq: (last?.seq ?? 0) + 1, previousHash: last?.hash ?? noHash }
  await db
    .insertInto('audit')
    .values({
      seq: entry.seq,
      at: entry.at,
      actor: entry.actor,
      tenant: entry.tenant,
      action: entry.action,
      subject: entry.subject,
      request_id: entry.requestId,
      detail: JSON.stringify(entry.detail),
      previous_hash: entry.previousHash,
      hash: hashOf(entry)
    })
    .execute()
  const subjects = new Map(
    records.map(({ tenant, action }) => [
      JSON.stringify([tenant, action]),
      { tenant, action, seq: entry.seq }
    ])
  )
  for (const subject of subjects.values()) await db.insertInto('audit_subjects').values(subject).execute()
}

/**
 * SHA-256 (hex) over the previous hash, a line feed and the entry's canonical JSON (members sorted by name, without
 * `hash` and `previousHash`).
 */
export function hashOf({ previousHash, ...entry }: Omit<AuditEntry, 'hash'>): string {
  return createHash('sha256')
    .update(`${previousHash}\n${canonicalJson(entry)}`)
    .digest('hex')
}

function joined(records: readonly AuditRecord[]): AuditRecord {
  const [first, ...rest] = records
  if (rest.length === 0) return first!
  const common = (member: 'actor' | 'tenant' | 'action' | 'subject') =>
    rest.every((record) => record[member] === first![member]) ? first![member] : several
  return {
    at: Math.max(...records.map(({ at }) => at)),
    actor: common('actor'),
    tenant: common('tenant'),
    action: common('action'),
    subject: common('subject'),
    requestId: rest.every(({ requestId }) => requestId === first!.requestId) ? first!.requestId : null,
    detail: { records }
  }
}

/** A reader who asks for one tenant or action must not see the records of others that shared the commit. */
function onlyMatching(entry: AuditEntry, tenant: string | undefined, action: string | undefined): AuditEntry {
  const { records } = entry.detail
  if ((tenant === undefined && action === undefined) || !Array.isArray(records)) return entry
  const matching = (records as AuditRecord[]).filter(
    (record) =>
      (tenant === undefined || record.tenant === tenant) && (action === undefined || record.action === action)
  )
  return { ...entry, detail: { ...entry.detail, records: matching } }
}

function toEntry({ request_id, previous_hash, detail, ...row }: Selectable<Tables['audit']>): AuditEntry {
  return { ...row, requestId: request_id, detail: JSON.parse(detail), previousHash: previous_hash }
}

function seqOf(cursor: string): number {
  if (/^[0-9]{1,15}$/.test(cursor)) return Number(cursor)
  throw new RoostError('invalid', 'The cursor is not one that this list gave', {
    errors: [{ pointer: '/cursor', in: 'query', message: 'Take the cursor of the page before, or none' }]
  })
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    member !== null && typeof member === 'object' && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member
  )
}
