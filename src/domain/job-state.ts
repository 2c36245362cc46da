import type { AttemptState, JobResult, JobSpec, JobState } from '../schemas/job.ts'
import type { FrameBody } from '../schemas/frame.ts'
import type { Placement } from '../schemas/placement.ts'

/** A job as the home node keeps it: times are milliseconds since the epoch. */
export interface JobRecord {
  id: string
  tenant: string
  name: string | null
  state: JobState
  reason: string | null
  message: string | null
  spec: JobSpec
  node: string | null
  attempts: AttemptRecord[]
  placement: Placement | null
  result: JobResult | null
  createdAt: number
  startedAt: number | null
  finishedAt: number | null
  /** Not before this time is it placed again (backoff). */
  notBefore: number | null
  /** What was asked of the running attempt and is not done yet; survives a restart. */
  intent: Intent | null
  lastSeq: number
  /** Id of the token that submitted it, or `local`: quotas may count by token. */
  submittedBy: string
  /** The name of that token: policies may go by it, also when the token is long gone. Null where it has none. */
  submittedByName: string | null
}

export interface AttemptRecord {
  number: number
  state: AttemptState
  node: string
  runtime: string
  pod: string | null
  exitCode: number | null
  signal: string | null
  reason: string | null
  startedAt: number | null
  finishedAt: number | null
  /** The runtime's place in the output, stored with the frames it led to. */
  cursor: string | null
  gpus: number[]
  /** When it must have ended; null before it is placed. */
  deadlineAt: number | null
  /** Id of the job that it was ended for; null where it was not preempted. */
  preemptedBy: string | null
}

/** An end that was asked for and waits for the runtime's word. */
export interface Intent {
  kind: 'cancel' | 'evict' | 'timeout' | 'preempt'
  reason: string
  /** Of an eviction: back into the queue, or cancelled. */
  requeue: boolean
  graceSeconds: number
  /** Of a preemption: the job that it makes room for. */
  preemptedFor?: string
}

export type EndedAttempt = AttemptRecord & { finishedAt: number }

/** What can happen to a job. Those with an `attempt` are words of that attempt; an older one's never count. */
export type JobInput =
  | { type: 'place'; node: string; runtime: string; gpus: number[]; placement: Placement | null }
  | { type: 'cancel'; reason: string; graceSeconds: number }
  | { type: 'evict'; reason: string; requeue: boolean; graceSeconds: number }
  /** `attempt`: the one that was chosen; a later one is spared. */
  | { type: 'preempt'; attempt: number; preemptedFor: string; forTenant: string; graceSeconds: number }
  | { type: 'time-out' }
  | { type: 'dependency-failed'; dependency: string; state: JobState }
  | { type: 'wait'; reason: string; message: string; placement: Placement | null }
  | { type: 'started'; attempt: number; at: number; pod: string | null }
  | {
      type: 'exited'
      attempt: number
      at: number
      exitCode: number | null
      signal: string | null
      cause: 'deadline' | 'stopped' | 'out-of-memory' | null
      output?: unknown
    }
  | { type: 'start-failed'; attempt: number; at: number; code: string; message: string; retriable: boolean }
  | { type: 'unknown'; attempt: number; message: string }
  /** `final`: it may still run somewhere, or have ended well, so nothing of it is run again by itself. */
  | { type: 'lost'; attempt: number; at: number; code: string; message: string; final?: true }

/** The names on the arrows between job states. */
export type JobEvent =
  | 'placed'
  | 'waits'
  | 'asked-to-stop'
  | 'started'
  | 'exited-zero'
  | 'exited-nonzero'
  | 'retries'
  | 'not-started'
  | 'evicted'
  | 'cancelled'
  | 'silent'
  | 'gave-up'

/**
 * The job's states: state -> event -> next state. What is not in it is refused. A job whose start was not seen may
 * end straight from `scheduled`: a program can be over before its start is told.
 */
export const transitions = {
  queued: { placed: 'scheduled', waits: 'queued', cancelled: 'cancelled' },
  scheduled: {
    'asked-to-stop': 'scheduled',
    started: 'running',
    'exited-zero': 'succeeded',
    'exited-nonzero': 'failed',
    retries: 'queued',
    'not-started': 'queued',
    evicted: 'queued',
    cancelled: 'cancelled',
    silent: 'running',
    'gave-up': 'failed'
  },
  running: {
    'asked-to-stop': 'running',
    started: 'running',
    'exited-zero': 'succeeded',
    'exited-nonzero': 'failed',
    retries: 'queued',
    'not-started': 'queued',
    evicted: 'queued',
    cancelled: 'cancelled',
    silent: 'running',
    'gave-up': 'failed'
  },
  succeeded: {},
  failed: {},
  cancelled: {}
} as const satisfies Record<JobState, Partial<Record<JobEvent, JobState>>>

export const isFinished = (state: JobState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'

const liveAttempt: readonly AttemptState[] = ['reserved', 'starting', 'running', 'unknown']

/** The attempt that is not over, if any: always the one with the highest number. */
export function currentAttempt(job: JobRecord): AttemptRecord | null {
  const last = job.attempts.at(-1)
  return last !== undefined && liveAttempt.includes(last.state) ? last : null
}

export type Outcome =
  | { ok: true; job: JobRecord; frames: FrameBody[] }
  /** `stale`: a word of an older or ended attempt; `refused`: not possible in this state. The job stays as it is. */
  | { ok: false; why: 'stale' | 'refused' | 'no-change'; detail: string }

export const refuse = (why: 'stale' | 'refused' | 'no-change', detail: string): Outcome => ({
  ok: false,
  why,
  detail
})

/** `name` of an attempt in every runtime. */
export const attemptName = (jobId: string, attempt: number): string => `roost-${jobId}-${attempt}`

/** A new job, queued, with its first frame. */
export function createJob(
  id: string,
  tenant: string,
  spec: JobSpec,
  now: number,
  submittedBy = 'local',
  submittedByName: string | null = 'local'
): { job: JobRecord; frames: FrameBody[] } {
  const job: JobRecord = {
    id,
    tenant,
    name: spec.name ?? null,
    state: 'queued',
    reason: null,
    message: null,
    spec,
    node: null,
    attempts: [],
    placement: null,
    result: null,
    createdAt: now,
    startedAt: null,
    finishedAt: null,
    notBefore: null,
    intent: null,
    lastSeq: 0,
    submittedBy,
    submittedByName
  }
  return {
    job,
    frames: [{ type: 'status', time: iso(now), state: 'queued', attempt: null, node: null, reason: null }]
  }
}

/** Attempts that count against maxAttempts: not the evicted ones and not those that never started (design §2). */
export function countedAttempts(job: JobRecord): number {
  return job.attempts.filter((attempt) => attempt.state !== 'evicted' && !neverStarted(attempt)).length
}

export const preemptions = (job: JobRecord): number =>
  job.attempts.filter((attempt) => attempt.preemptedBy !== null).length

export const neverStarted = (attempt: AttemptRecord): boolean =>
  attempt.state === 'failed' && attempt.startedAt === null

/** What the spec says of a lost node, with its default (design §2). */
export const onNodeLoss = (spec: JobSpec): 'wait' | 'restart' | 'fail' =>
  spec.onNodeLoss ?? ((spec.retry?.maxAttempts ?? 1) > 1 ? 'restart' : 'wait')

/** From a time-out to the kill. */
export const timeoutGraceSeconds = 5

export const timeoutSeconds = (spec: JobSpec): number => spec.timeoutSeconds ?? 3600

export const iso = (ms: number): string => new Date(ms).toISOString()

export function next(state: JobState, event: JobEvent): JobState | null {
  return (transitions[state] as Partial<Record<JobEvent, JobState>>)[event] ?? null
}

export const withAttempt = (job: JobRecord, attempt: AttemptRecord): JobRecord => ({
  ...job,
  attempts: job.attempts.map((a) => (a.number === attempt.number ? attempt : a))
})

export function status(
  now: number,
  state: JobState,
  attempt: number | null,
  node: string | null,
  reason: string | null,
  message?: string
): FrameBody {
  return {
    type: 'status',
    time: iso(now),
    state,
    attempt,
    node,
    reason,
    ...(message === undefined ? {} : { message })
  }
}
