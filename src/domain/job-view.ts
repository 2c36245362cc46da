import type { Job } from '../schemas/job.ts'
import type { JobRecord } from './job-state.ts'

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

/** The job as the API shows it. */
export function toJob(record: JobRecord): Job {
  return {
    id: record.id,
    name: record.name,
    state: record.state,
    reason: record.reason,
    message: record.message,
    spec: record.spec,
    node: record.node,
    attempts: record.attempts.map((attempt) => ({
      number: attempt.number,
      state: attempt.state,
      node: attempt.node,
      runtime: attempt.runtime,
      pod: attempt.pod,
      exitCode: attempt.exitCode,
      signal: attempt.signal,
      reason: attempt.reason,
      startedAt: iso(attempt.startedAt),
      finishedAt: iso(attempt.finishedAt)
    })),
    placement: record.placement,
    result: record.result,
    createdAt: new Date(record.createdAt).toISOString(),
    startedAt: iso(record.startedAt),
    finishedAt: iso(record.finishedAt),
    lastSeq: record.lastSeq,
    tenant: record.tenant
  }
}
