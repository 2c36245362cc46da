import type { Test } from 'tap'
import type { AuditRecord, Storage } from '../../src/contracts/storage.ts'
import { createJob, type AttemptRecord, type JobRecord } from '../../src/domain/job-state.ts'
import { RoostError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import type { FrameBody } from '../../src/schemas/frame.ts'
import type { JobSpec } from '../../src/schemas/job.ts'

/** What must hold, as a sentence, and the check of it on an empty storage. */
export type StorageCases = Record<string, (t: Test, storage: Storage) => Promise<void>>

export const at = 1_800_000_000_000
export const spec: JobSpec = { task: { type: 'process', command: ['true'] } }

/** A queued job; `change` says what is different of it. */
export const jobOf = (change: Partial<JobRecord> = {}): JobRecord => ({
  ...createJob(newId(), 'default', spec, at).job,
  ...change
})

/** A running attempt. */
export const attemptOf = (change: Partial<AttemptRecord> = {}): AttemptRecord => ({
  number: 1,
  state: 'running',
  node: 'n',
  runtime: 'process',
  pod: 'p',
  exitCode: null,
  signal: null,
  reason: null,
  startedAt: at,
  finishedAt: null,
  cursor: null,
  gpus: [],
  deadlineAt: at,
  preemptedBy: null,
  ...change
})

export const logFrame = (text: string): FrameBody => ({
  type: 'log',
  time: new Date(at).toISOString(),
  attempt: 1,
  stream: 'stdout',
  text
})

export const record = (change: Partial<AuditRecord> = {}): AuditRecord => ({
  at,
  actor: 'local',
  actorName: 'local',
  tenant: 'default',
  action: 'job.schedule',
  subject: 's',
  requestId: null,
  address: null,
  client: null,
  detail: {},
  ...change
})

export const insert = (storage: Storage, ...jobs: JobRecord[]) =>
  storage.write(async (tx) => {
    for (const job of jobs) await tx.jobs.insert(job)
  })

export const isCode = (code: string) => (error: unknown) => error instanceof RoostError && error.code === code

export async function rejects(
  t: Test,
  promise: Promise<unknown>,
  expected: (error: unknown) => boolean,
  message: string
) {
  t.ok(await promise.then(() => false, expected), message)
}
