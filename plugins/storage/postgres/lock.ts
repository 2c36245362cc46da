import { setTimeout as pause } from 'node:timers/promises'
import { DatabaseRefused } from './faults.ts'
import type { PostgresSession } from './session.ts'

/** "Roos": the first half of the advisory lock's key; the second stands for the schema. */
const lockClass = 0x526f6f73
const lockKey = `${lockClass}, hashtext(current_schema())`
const retryMs = 100

/** A session of the server, told apart from a later one that got the same process id. */
export interface Backend {
  pid: number
  startedAt: string
}

const holder = `from pg_locks l join pg_stat_activity a using (pid)
  where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = ${lockClass}
    and l.objid::int8 = hashtext(current_schema())::int8 & 4294967295
    and l.database = (select oid from pg_database where datname = current_database())`

/**
 * Takes the lock by which one service owns a database (or schema of one), for as long as the session lives. Where
 * `before`, an earlier session of this very service, still holds it, that one is ended.
 * @returns this session.
 * @throws Error naming the holder where another service has the lock.
 */
export async function takeLock(
  session: PostgresSession,
  before: Backend | null,
  limitMs: number
): Promise<Backend> {
  const { rows } = await session.query(
    'select current_schema() as schema, pid, backend_start::text as started from pg_stat_activity where pid = pg_backend_pid()'
  )
  const own = rows[0]
  if (own?.['schema'] === null)
    throw new DatabaseRefused(
      'has no schema to store in: create the one that the search_path names, or leave that out'
    )
  const until = performance.now() + limitMs
  for (;;) {
    const taken = await session.query(`select pg_try_advisory_lock(${lockKey}) as taken`)
    if (taken.rows[0]?.['taken'] === true) break
    if (before !== null)
      await session.query(
        `select pg_terminate_backend(a.pid) ${holder} and a.pid = $1 and a.backend_start::text = $2`,
        [before.pid, before.startedAt]
      )
    if (performance.now() >= until) throw await inUse(session)
    await pause(retryMs)
  }
  return { pid: Number(own?.['pid']), startedAt: String(own?.['started']) }
}

async function inUse(session: PostgresSession): Promise<Error> {
  const { rows } = await session.query(
    `select a.pid, coalesce(host(a.client_addr), 'its own machine') as client, a.backend_start::text as started ${holder}`
  )
  const [found] = rows
  const who =
    found === undefined
      ? ''
      : ` (session ${String(found['pid'])} from ${String(found['client'])}, since ${String(found['started'])})`
  return new DatabaseRefused(
    `is in use by another Roost${who}: stop that one first, or give this one a database of its own`
  )
}
