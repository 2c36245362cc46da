import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { AuditAnchor, AuditEntry, AuditReader, AuditVerdict } from '../../../src/contracts/storage.ts'
import { RoostError } from '../../../src/errors.ts'
import type { Tables } from '../tables.ts'
import { headOf } from './audit-append.ts'
import { firstUnindexed, indexed, type Indexed } from './audit-index.ts'
import { faultOf, noHash, recordsOf, type AuditRow } from './audit-chain.ts'

/** An entry has up to 256 records: so many stay a few milliseconds of work. */
const entriesAtOnce = 100
type Wanted = Partial<Record<Indexed, string | undefined>>
interface Candidates {
  /** The lowest seq, and the first one that is too high. */
  from: number
  below: number
  since: number | undefined
  until: number | undefined
  limit: number
}

export function createAuditReader(db: Kysely<Tables>): AuditReader {
  return {
    async list({ limit, cursor, since, until, ...wanted }) {
      const span = await spanOf(db, since, until)
      if (span === null) return { items: [], cursor: null }
      const items: AuditEntry[] = []
      for (let below = cursor === undefined ? span.below : Math.min(seqOf(cursor), span.below); ;) {
        const rows = await listCandidates(db, wanted, {
          from: span.from,
          below,
          since,
          until,
          limit: limit + 1
        })
        for (const row of rows) {
          const entry = onlyMatching(toEntry(row), wanted)
          if (entry !== null) items.push(entry)
        }
        if (items.length > limit)
          return { items: items.slice(0, limit), cursor: String(items[limit - 1]!.seq) }
        if (rows.length <= limit) return { items, cursor: null }
        below = rows.at(-1)!.seq
        await nextTurn()
      }
    },

    head: () => headOf(db),

    async verify(anchor) {
      let previous: AuditAnchor = { seq: 0, hash: noHash }
      let found: AuditVerdict['anchor'] = anchor === undefined ? null : 'missing'
      const verdict = (fault: AuditVerdict['fault']): AuditVerdict => ({
        entries: previous.seq,
        head: previous.seq === 0 ? null : previous,
        fault,
        // A walk that stopped at a fault may not have come as far as the anchor.
        anchor: found === 'missing' && fault !== null ? null : found
      })
      for (;;) {
        const rows = await db
          .selectFrom('audit')
          .selectAll()
          .where('seq', '>', previous.seq)
          .orderBy('seq')
          .limit(entriesAtOnce)
          .execute()
        const unindexed = await firstUnindexed(db, rows.flatMap(toIndexedEntry))
        for (const row of rows) {
          const message =
            faultOf(row, previous) ??
            (row.seq === unindexed?.seq
              ? `Entry ${row.seq} is whole, but filters by ${unindexed.kind} leave it out: its row of the index was removed`
              : null)
          if (message !== null) return verdict({ seq: Math.min(row.seq, previous.seq + 1), message })
          previous = { seq: row.seq, hash: row.hash }
          if (row.seq === anchor?.seq) found = row.hash === anchor.hash ? 'found' : 'different'
        }
        if (rows.length < entriesAtOnce) return verdict(null)
        await nextTurn()
      }
    }
  }
}

/**
 * The entries `from <= seq < below` hold all of a span of time; null where it has none. A clock that was set back makes
 * times that are not in the order of the chain, so these are the outermost ones.
 */
async function spanOf(
  db: Kysely<Tables>,
  since: number | undefined,
  until: number | undefined
): Promise<{ from: number; below: number } | null> {
  let [from, below]: [number | null, number | null] = [0, Number.MAX_SAFE_INTEGER]
  if (since !== undefined) {
    const first = await db
      .selectFrom('audit')
      .select((eb) => eb.fn.min('seq').as('seq'))
      .where('at', '>=', since)
      .executeTakeFirst()
    from = first?.seq ?? null
  }
  if (until !== undefined) {
    const last = await db
      .selectFrom('audit')
      .select((eb) => eb.fn.max('seq').as('seq'))
      .where('at', '<', until)
      .executeTakeFirst()
    below = last?.seq == null ? null : Number(last.seq) + 1
  }
  return from === null || below === null ? null : { from: Number(from), below }
}

/** Entries that may match, newest first: each thing that is wanted stands in one of their records. */
async function listCandidates(
  db: Kysely<Tables>,
  wanted: Wanted,
  { from, below, since = 0, until = Number.MAX_SAFE_INTEGER, limit }: Candidates
): Promise<AuditRow[]> {
  const [leading, ...others] = indexed.filter((kind) => wanted[kind] !== undefined)
  if (leading === undefined)
    return await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>=', from)
      .where('seq', '<', below)
      .where('at', '>=', since)
      .where('at', '<', until)
      .orderBy('seq', 'desc')
      .limit(limit)
      .execute()
  let query = db
    .selectFrom('audit_index as one')
    .innerJoin('audit', 'audit.seq', 'one.seq')
    .selectAll('audit')
    .where('one.kind', '=', leading)
    .where('one.value', '=', wanted[leading]!)
    .where('one.seq', '>=', from)
    .where('one.seq', '<', below)
    .where('audit.at', '>=', since)
    .where('audit.at', '<', until)
  for (const kind of others)
    query = query.where((eb) =>
      eb.exists(
        eb
          .selectFrom('audit_index as other')
          .select('other.seq')
          .where('other.kind', '=', kind)
          .where('other.value', '=', wanted[kind]!)
          .whereRef('other.seq', '=', 'one.seq')
      )
    )
  return await query.orderBy('one.seq', 'desc').limit(limit).execute()
}

/**
 * The entry with the records that fit; null where none does. A reader who asks for one tenant must not see the records
 * of others that shared the commit.
 */
function onlyMatching(entry: AuditEntry, wanted: Wanted): AuditEntry | null {
  const { records } = entry.detail
  const kinds = indexed.filter((kind) => wanted[kind] !== undefined)
  if (kinds.length === 0) return entry
  // A row that somebody put into the index leads to an entry that does not fit.
  if (!Array.isArray(records)) return kinds.every((kind) => entry[kind] === wanted[kind]) ? entry : null
  const whole = recordsOf(entry)
  const matching = records.filter((_, i) => kinds.every((kind) => whole[i]![kind] === wanted[kind]))
  return matching.length === 0 ? null : { ...entry, detail: { records: matching } }
}

const toEntry = ({ request_id, previous_hash, actor_name, detail, ...row }: AuditRow): AuditEntry => ({
  ...row,
  actorName: actor_name,
  requestId: request_id,
  detail: JSON.parse(detail),
  previousHash: previous_hash
})

/** None of before migration 003, whose index was made from less, nor one whose detail is no JSON any more. */
function toIndexedEntry(row: AuditRow): AuditEntry[] {
  try {
    return row.actor_name === null ? [] : [toEntry(row)]
  } catch {
    return []
  }
}

function seqOf(cursor: string): number {
  if (/^[0-9]{1,15}$/.test(cursor)) return Number(cursor)
  throw new RoostError('invalid', 'The cursor is not one that this list gave', {
    errors: [{ pointer: '/cursor', in: 'query', message: 'Take the cursor of the page before, or none' }]
  })
}
