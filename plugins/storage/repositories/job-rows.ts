import type { Insertable, Selectable } from 'kysely'
import type { AttemptRecord, JobRecord } from '../../../src/domain/job-state.ts'
import { isFinished } from '../../../src/domain/job-state.ts'
import type { FrameBody } from '../../../src/schemas/frame.ts'
import type { AttemptTable, JobTable } from '../tables.ts'

const defaultTtlSeconds = 604_800

/** The columns of a job that may change, without `last_seq`: that one is owned by `events.append`. */
export function changingColumns(job: JobRecord) {
  const finished = isFinished(job.state)
  const ttlMs = (job.spec.ttlSecondsAfterFinished ?? defaultTtlSeconds) * 1000
  return {
    state: job.state,
    finished: finished ? 1 : 0,
    reason: job.reason,
    message: job.message,
    node: job.node,
    started_at: job.startedAt,
    finished_at: job.finishedAt,
    not_before: job.notBefore,
    expires_at: finished && job.finishedAt !== null ? job.finishedAt + ttlMs : null,
    intent: toJson(job.intent),
    result: toJson(job.result),
    placement: toJson(job.placement)
  }
}

/** A new job's row. Its log is empty, whatever `lastSeq` says. */
export function jobRow(job: JobRecord): Insertable<JobTable> {
  return {
    ...changingColumns(job),
    id: job.id,
    tenant: job.tenant,
    name: job.name,
    created_at: job.createdAt,
    last_seq: 0,
    spec: JSON.stringify(job.spec),
    submitted_by: job.submittedBy,
    submitted_by_name: job.submittedByName
  }
}

export function toJob(row: Selectable<JobTable>, attempts: AttemptRecord[]): JobRecord {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    state: row.state,
    reason: row.reason,
    message: row.message,
    spec: JSON.parse(row.spec),
    node: row.node,
    attempts,
    placement: fromJson(row.placement),
    result: fromJson(row.result),
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    notBefore: row.not_before,
    intent: fromJson(row.intent),
    lastSeq: row.last_seq,
    submittedBy: row.submitted_by,
    submittedByName: row.submitted_by_name
  }
}

export function attemptRow(jobId: string, attempt: AttemptRecord): Insertable<AttemptTable> {
  return {
    job_id: jobId,
    number: attempt.number,
    state: attempt.state,
    node: attempt.node,
    runtime: attempt.runtime,
    pod: attempt.pod,
    exit_code: attempt.exitCode,
    signal: attempt.signal,
    reason: attempt.reason,
    started_at: attempt.startedAt,
    finished_at: attempt.finishedAt,
    cursor: attempt.cursor,
    gpus: JSON.stringify(attempt.gpus),
    deadline_at: attempt.deadlineAt,
    preempted_by: attempt.preemptedBy
  }
}

export function toAttempt(row: Selectable<AttemptTable>): AttemptRecord {
  return {
    number: row.number,
    state: row.state,
    node: row.node,
    runtime: row.runtime,
    pod: row.pod,
    exitCode: row.exit_code,
    signal: row.signal,
    reason: row.reason,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    cursor: row.cursor,
    gpus: JSON.parse(row.gpus),
    deadlineAt: row.deadline_at,
    preemptedBy: row.preempted_by
  }
}

/** The frame as it goes over the wire: type, seq and time come first. */
export function frameJson(frame: FrameBody, seq: number): string {
  const { type, time, ...rest } = frame
  return JSON.stringify({ type, seq, time, ...rest })
}

const toJson = (value: unknown): string | null => (value === null ? null : JSON.stringify(value))
const fromJson = <T>(text: string | null): T | null => (text === null ? null : (JSON.parse(text) as T))
