import type { Kysely } from 'kysely'
import type { EventWriter, JobWriter, Transaction } from '../../../src/contracts/storage.ts'
import { UniqueViolation } from '../../../src/errors.ts'
import { frameJson, jobRow } from '../repositories/job-rows.ts'
import { insertJobLinks } from '../repositories/jobs.ts'
import { checkSeq, keysPerJob } from '../repositories/event-keys.ts'
import { noLog } from '../repositories/events.ts'
import type { AuditInserts } from '../repositories/audit-append.ts'
import type { Session } from '../session.ts'
import type { Tables } from '../tables.ts'
import type { SqliteConnection } from './connection.ts'

/**
 * The statements of every accepted job, every line of output and every commit's audit entry, prepared by hand: building and compiling the
 * query would cost more than running it (docs/decisions/002-group-commit.md). They do what repositories/jobs.ts and
 * repositories/events.ts do; the conformance suite runs over both.
 */
export function withHotStatements(
  writers: Transaction,
  db: Kysely<Tables>,
  connection: SqliteConnection,
  session: Session
): Transaction {
  return {
    ...writers,
    jobs: { ...writers.jobs, insert: prepareInsert(db, connection) },
    events: { ...writers.events, append: prepareAppend(connection, session) }
  }
}

/** The audit entry of each commit and the rows that lead to it. */
export function prepareAuditInserts(connection: SqliteConnection): AuditInserts {
  const columns = [
    'seq',
    'at',
    'actor',
    'actor_name',
    'tenant',
    'action',
    'subject',
    'request_id',
    'address',
    'client',
    'detail',
    'previous_hash',
    'hash'
  ] as const satisfies readonly (keyof Tables['audit'])[]
  const entry = connection.prepare(
    `insert into audit (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`
  )
  const index = connection.prepare(
    'insert into audit_index (kind, value, seq) values (?, ?, ?) on conflict do nothing'
  )
  return {
    async entry(row) {
      connection.attempt(() => entry.run(...columns.map((column) => row[column])))
    },
    async index(rows) {
      connection.attempt(() => {
        for (const { kind, value, seq } of rows) index.run(kind, value, seq)
      })
    }
  }
}

function prepareInsert(db: Kysely<Tables>, connection: SqliteConnection): JobWriter['insert'] {
  const columns = [
    'id',
    'tenant',
    'name',
    'state',
    'finished',
    'reason',
    'message',
    'node',
    'created_at',
    'started_at',
    'finished_at',
    'not_before',
    'expires_at',
    'last_seq',
    'intent',
    'result',
    'spec',
    'placement',
    'submitted_by',
    'submitted_by_name'
  ] as const satisfies readonly (keyof Tables['jobs'])[]
  const insert = connection.prepare(
    `insert into jobs (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')}) on conflict (id) do nothing`
  )
  return async (job) => {
    const row = jobRow(job)
    const { changes } = connection.attempt(() => insert.run(...columns.map((column) => row[column])))
    if (changes !== 1) throw new UniqueViolation(`Job ${job.id}`)
    const { labels, dependsOn } = job.spec
    if (labels !== undefined || dependsOn !== undefined || job.attempts.length > 0)
      await insertJobLinks(db, job)
  }
}

function prepareAppend(connection: SqliteConnection, session: Session): EventWriter['append'] {
  const grow = connection
    .prepare('update jobs set last_seq = last_seq + ? where id = ? returning number, last_seq')
    .raw()
  const insert = connection.prepare(
    `insert into events (key, type, json) values (? * ${keysPerJob} + ?, ?, ?)`
  )
  return async (jobId, frames) =>
    connection.attempt(() => {
      const row = grow.get(frames.length, jobId) as [number: number, lastSeq: number] | undefined
      if (row === undefined) throw noLog(jobId)
      const [number, lastSeq] = row
      checkSeq(jobId, lastSeq)
      let seq = lastSeq - frames.length
      for (const frame of frames) {
        seq += 1
        insert.run(number, seq, frame.type, frameJson(frame, seq))
      }
      if (frames.length > 0) session.traces.grown.set(jobId, lastSeq)
      return lastSeq
    })
}
