import { CompiledQuery, type Kysely } from 'kysely'
import type { EventWriter } from '../../../src/contracts/storage.ts'
import { checkSeq, keysPerJob } from '../repositories/event-keys.ts'
import { noLog } from '../repositories/events.ts'
import type { Session } from '../session.ts'
import type { Tables } from '../tables.ts'

/** Numbers the frames and stores them in one statement: every line of output would else cost a round trip for each. */
const append = `with grown as (
  update jobs set last_seq = last_seq + $2::int8 where id = $1 returning number, last_seq
), written as (
  insert into events (key, type, json)
  select grown.number * ${keysPerJob} + grown.last_seq - $2::int8 + frame.n, frame.type,
    frame.head || (grown.last_seq - $2::int8 + frame.n) || frame.tail
  from grown, unnest($3::text[], $4::text[], $5::text[]) with ordinality as frame (type, head, tail, n)
)
select last_seq from grown`

/** What repositories/events.ts does, for Postgres. */
export function createAppend(db: Kysely<Tables>, session: Session): EventWriter['append'] {
  return async (jobId, frames) => {
    const types: string[] = []
    const heads: string[] = []
    const tails: string[] = []
    for (const { type, time, ...rest } of frames) {
      types.push(type)
      // As frameJson has it, without the seq: that is known only there.
      heads.push(`{"type":${JSON.stringify(type)},"seq":`)
      tails.push(`,${JSON.stringify({ time, ...rest }).slice(1)}`)
    }
    const { rows } = await db.executeQuery<{ last_seq: number }>(
      CompiledQuery.raw(append, [jobId, frames.length, types, heads, tails])
    )
    const lastSeq = rows[0]?.last_seq
    if (lastSeq === undefined) throw noLog(jobId)
    checkSeq(jobId, lastSeq)
    if (frames.length > 0) session.traces.grown.set(jobId, lastSeq)
    return lastSeq
  }
}
