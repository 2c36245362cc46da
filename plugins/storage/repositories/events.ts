import { sql, type Kysely } from 'kysely'
import type { EventReader, EventWriter, StoredFrame } from '../../../src/contracts/storage.ts'
import { RoostError } from '../../../src/errors.ts'
import type { Session } from '../session.ts'
import type { Tables } from '../tables.ts'
import { checkSeq, eventKey, keysPerJob } from './event-keys.ts'
import { frameJson } from './job-rows.ts'

const firstPage = 64
const smallestPage = 8
const largestPage = 1000

export function createEventReader(db: Kysely<Tables>): EventReader {
  return {
    async read(jobId, fromSeq, limit, maxBytes) {
      const from = Math.max(1, fromSeq)
      const frames: StoredFrame[] = []
      let bytes = 0
      let page = firstPage
      // In pages sized by what was seen so far: a log of 64 KiB frames must not fill the memory, nor one of small ones crawl.
      while (frames.length < limit && bytes < maxBytes) {
        const wanted = Math.min(page, limit - frames.length)
        const rows = await framesOf(db, jobId, from + frames.length)
          .select(['events.type', 'events.json'])
          .orderBy('events.key')
          .limit(wanted)
          .execute()
        for (const row of rows) {
          // The first frame always goes, else a reader with a small page would never get past a large one.
          if (frames.length > 0 && bytes + row.json.length > maxBytes) return frames
          if (row.seq !== from + frames.length) throw damaged(jobId, from + frames.length)
          frames.push(row)
          bytes += row.json.length
        }
        if (rows.length < wanted) {
          await checkEnd(db, jobId, from + frames.length)
          break
        }
        page = Math.max(
          smallestPage,
          Math.min(largestPage, Math.ceil(((maxBytes - bytes) * frames.length) / Math.max(1, bytes)))
        )
      }
      return frames
    },

    async tailStart(jobId, count) {
      if (count > 0) {
        const logs = framesOf(db, jobId, 1)
          .where('events.type', '=', 'log')
          .orderBy('events.key', 'desc')
          .limit(count)
        const first = await db
          .selectFrom(logs.as('logs'))
          .select((eb) => eb.fn.min('seq').as('seq'))
          .executeTakeFirst()
        if (first !== undefined && first.seq !== null) return Number(first.seq)
      }
      return ((await findLastSeq(db, jobId)) ?? 0) + 1
    },

    lastSeq: (jobId) => findLastSeq(db, jobId)
  }
}

export function createEventWriter(db: Kysely<Tables>, session: Session): EventWriter {
  return {
    async append(jobId, frames) {
      const row = await db
        .updateTable('jobs')
        .set((eb) => ({ last_seq: eb('last_seq', '+', frames.length) }))
        .where('id', '=', jobId)
        .returning(['number', 'last_seq'])
        .executeTakeFirst()
      if (row === undefined) throw noLog(jobId)
      checkSeq(jobId, row.last_seq)
      let seq = row.last_seq - frames.length
      for (const frame of frames) {
        seq += 1
        await db
          .insertInto('events')
          .values({ key: eventKey(row.number, seq), type: frame.type, json: frameJson(frame, seq) })
          .execute()
      }
      if (frames.length > 0) session.traces.grown.set(jobId, row.last_seq)
      return row.last_seq
    }
  }
}

/** What `append` says of a job that is not there (any more). */
export const noLog = (jobId: string): RoostError =>
  new RoostError('job-not-found', `There is no job ${jobId} whose log could grow`)

/** The frames of a job with seq >= from. One statement finds job and frames, so it never sees the number of a job that is gone. */
function framesOf(db: Kysely<Tables>, jobId: string, from: number) {
  return db
    .selectFrom('jobs')
    .innerJoin('events', (join) =>
      join
        .on((eb) => eb('events.key', '>=', eventKey(eb.ref('jobs.number'), from)))
        .on((eb) => eb('events.key', '<', eventKey(eb.ref('jobs.number'), keysPerJob)))
    )
    .where('jobs.id', '=', jobId)
    .select(sql<number>`events.key - jobs.number * ${sql.lit(keysPerJob)}`.as('seq'))
}

/**
 * A log has no holes, so where it ends before the job's lastSeq the database is damaged: a torn page can end a scan
 * without an error, and a reader must not take that for the end.
 */
async function checkEnd(db: Kysely<Tables>, jobId: string, next: number): Promise<void> {
  const lastSeq = (await findLastSeq(db, jobId)) ?? 0
  if (lastSeq < next) return
  // Most likely it grew since; only what is missing now although it was there before is lost.
  const grown = await framesOf(db, jobId, next).orderBy('events.key').limit(1).executeTakeFirst()
  if (grown?.seq !== next && (await findLastSeq(db, jobId)) !== null) throw damaged(jobId, next)
}

const damaged = (jobId: string, seq: number): RoostError =>
  new RoostError(
    'storage-unavailable',
    `The log of job ${jobId} is damaged: frame ${seq} is gone. Stop Roost, keep a copy of its database and put a backup in its place.`
  )

async function findLastSeq(db: Kysely<Tables>, jobId: string): Promise<number | null> {
  const row = await db.selectFrom('jobs').select('last_seq').where('id', '=', jobId).executeTakeFirst()
  return row?.last_seq ?? null
}
