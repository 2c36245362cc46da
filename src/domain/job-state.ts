import type { AttemptState, JobResult, JobSpec, JobState } from '../schemas/job.ts'
import type { FrameBody } from '../schemas/frame.ts'
import type { Placement } from '../schemas/placement.ts'
import { backoffMs, mayRetry } from './retry.ts'

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
}

/** An end that was asked for and waits for the runtime's word. */
export interface Intent {
  kind: 'cancel' | 'evict' | 'timeout'
  reason: string
  /** Of an eviction: back into the queue, or cancelled. */
  requeue: boolean
  graceSeconds: number
}

type EndedAttempt = AttemptRecord & { finishedAt: number }

/** What can happen to a job. Those with an `attempt` are words of that attempt; an older one's never count. */
export type JobInput =
  | { type: 'place'; node: string; runtime: string; gpus: number[]; placement: Placement | null }
  | { type: 'cancel'; reason: string; graceSeconds: number }
  | { type: 'evict'; reason: string; requeue: boolean; graceSeconds: number }
  | { type: 'time-out' }
  | { type: 'dependency-failed'; dependency: string; state: JobState }
  | { type: 'wait'; reason: string; message: string; placement: Placement | null }
  | { type: 'started'; attempt: number; at: number; pod: string | null }
  | { type: 'exited'; attempt: number; at: number; exitCode: number | null; signal: string | null; cause: 'deadline' | 'stopped' | 'out-of-memory' | null; output?: unknown }
  | { type: 'start-failed'; attempt: number; at: number; code: string; message: string; retriable: boolean }
  | { type: 'unknown'; attempt: number; message: string }
  | { type: 'lost'; attempt: number; at: number; code: string; message: string }

/** The names on the arrows between job states. */
export type JobEvent =
  | 'placed' | 'waits' | 'asked-to-stop' | 'started' | 'exited-zero' | 'exited-nonzero' | 'retries' | 'not-started'
  | 'evicted' | 'cancelled' | 'silent' | 'gave-up'

/**
 * The job's states: state -> event -> next state. What is not in it is refused. A job whose start was not seen may
 * end straight from `scheduled`: a program can be over before its start is told.
 */
export const transitions = {
  queued: { placed: 'scheduled', waits: 'queued', cancelled: 'cancelled' },
  scheduled: {
    'asked-to-stop': 'scheduled', started: 'running', 'exited-zero': 'succeeded', 'exited-nonzero': 'failed',
    retries: 'queued', 'not-started': 'queued', evicted: 'queued', cancelled: 'cancelled', silent: 'running', 'gave-up': 'failed'
  },
  running: {
    'asked-to-stop': 'running', started: 'running', 'exited-zero': 'succeeded', 'exited-nonzero': 'failed', retries: 'queued',
    'not-started': 'queued', evicted: 'queued', cancelled: 'cancelled', silent: 'running', 'gave-up': 'failed'
  },
  succeeded: {},
  failed: {},
  cancelled: {}
} as const satisfies Record<JobState, Partial<Record<JobEvent, JobState>>>

export const isFinished = (state: JobState): boolean => state === 'succeeded' || state === 'failed' || state === 'cancelled'

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

const refuse = (why: 'stale' | 'refused' | 'no-change', detail: string): Outcome => ({ ok: false, why, detail })

/** `name` of an attempt in every runtime. */
export const attemptName = (jobId: string, attempt: number): string => `roost-${jobId}-${attempt}`

/** A new job, queued, with its first frame. */
export function createJob(id: string, tenant: string, spec: JobSpec, now: number): { job: JobRecord; frames: FrameBody[] } {
  const job: JobRecord = {
    id, tenant, name: spec.name ?? null, state: 'queued', reason: null, message: null, spec, node: null, attempts: [],
    placement: null, result: null, createdAt: now, startedAt: null, finishedAt: null, notBefore: null, intent: null, lastSeq: 0
  }
  return { job, frames: [{ type: 'status', time: iso(now), state: 'queued', attempt: null, node: null, reason: null }] }
}

/**
 * The one place where a job changes. Pure: `random` in [0,1) spreads the backoff, `now` is wall time in ms.
 * Returns the job as it is afterwards and the frames to append, or why nothing changes.
 */
export function decide(job: JobRecord, input: JobInput, now: number, random: number): Outcome {
  if (isFinished(job.state)) return refuse('stale', `The job has ${job.state}`)
  const attempt = currentAttempt(job)
  if ('attempt' in input && (attempt === null || attempt.number !== input.attempt)) {
    return refuse('stale', `Attempt ${input.attempt} is not the current one (${attempt?.number ?? 'none'})`)
  }
  switch (input.type) {
    case 'place': return place(job, input, now)
    case 'wait': return wait(job, input, now)
    case 'dependency-failed':
      if (attempt !== null) return refuse('refused', 'An attempt is under way: what it depends on is not asked any more')
      return end(job, 'cancelled', { event: 'cancelled', code: 'dependency-failed', message: `Job ${input.dependency}, which this one depends on, has ${input.state}`, exitCode: null, now })
    case 'cancel':
      if (attempt === null) return end(job, 'cancelled', { event: 'cancelled', code: 'cancelled', message: input.reason, exitCode: null, now })
      return ask(job, { kind: 'cancel', reason: input.reason, requeue: false, graceSeconds: input.graceSeconds }, now)
    case 'evict':
      if (attempt === null) {
        return input.requeue
          ? refuse('no-change', 'The job is waiting in the queue already')
          : end(job, 'cancelled', { event: 'cancelled', code: 'evicted', message: input.reason, exitCode: null, now })
      }
      return ask(job, { kind: 'evict', reason: input.reason, requeue: input.requeue, graceSeconds: input.graceSeconds }, now)
    case 'time-out':
      if (attempt === null) return refuse('refused', 'No attempt is running')
      return ask(job, { kind: 'timeout', reason: `It ran longer than ${timeoutSeconds(job.spec)} s`, requeue: false, graceSeconds: 5 }, now)
    case 'started': return started(job, attempt!, input)
    case 'unknown': return silent(job, attempt!, input.message, now)
    case 'exited': return exited(job, attempt!, input, now, random)
    case 'start-failed': return startFailed(job, attempt!, input, now, random)
    case 'lost': return lost(job, attempt!, input, now, random)
  }
}

function place(job: JobRecord, input: Extract<JobInput, { type: 'place' }>, now: number): Outcome {
  const to = next(job.state, 'placed')
  if (to === null) return refuse('refused', `A ${job.state} job is not placed`)
  const number = (job.attempts.at(-1)?.number ?? 0) + 1
  const attempt: AttemptRecord = {
    number, state: 'starting', node: input.node, runtime: input.runtime, pod: attemptName(job.id, number), exitCode: null,
    signal: null, reason: null, startedAt: null, finishedAt: null, cursor: null, gpus: input.gpus, deadlineAt: now + timeoutSeconds(job.spec) * 1000
  }
  return {
    ok: true,
    job: { ...job, state: to, reason: null, message: null, node: input.node, placement: input.placement, notBefore: null, attempts: [...job.attempts, attempt] },
    frames: [status(now, to, number, input.node, null)]
  }
}

function wait(job: JobRecord, input: Extract<JobInput, { type: 'wait' }>, now: number): Outcome {
  const to = next(job.state, 'waits')
  if (to === null) return refuse('refused', `A ${job.state} job does not wait`)
  if (job.reason === input.reason && job.message === input.message) return refuse('no-change', 'It waits for that already')
  return {
    ok: true,
    job: { ...job, reason: input.reason, message: input.message, placement: input.placement ?? job.placement },
    // The same reason in other words (a number moved) is no news for the log.
    frames: job.reason === input.reason ? [] : [status(now, to, null, null, input.reason, input.message)]
  }
}

const endingReason = { cancel: 'cancelling', evict: 'evicting', timeout: 'timing-out' } as const

/** Later wishes do not weaken earlier ones: a cancel stays a cancel, and replaces an eviction or a time-out. */
function ask(job: JobRecord, intent: Intent, now: number): Outcome {
  if (job.intent !== null && (intent.kind !== 'cancel' || job.intent.kind === 'cancel')) {
    return refuse('no-change', `It is being ended already (${job.intent.kind})`)
  }
  const to = next(job.state, 'asked-to-stop')
  if (to === null) return refuse('refused', `A ${job.state} job has nothing to stop`)
  const reason = endingReason[intent.kind]
  const attempt = job.attempts.at(-1)!
  return {
    ok: true,
    job: { ...job, state: to, intent, reason, message: intent.reason },
    frames: [status(now, to, attempt.number, attempt.node, reason, intent.reason)]
  }
}

function started(job: JobRecord, attempt: AttemptRecord, input: Extract<JobInput, { type: 'started' }>): Outcome {
  const to = next(job.state, 'started')
  if (to === null) return refuse('refused', `A ${job.state} job does not start`)
  if (attempt.state === 'running') return refuse('no-change', 'It runs already')
  const changed = { ...attempt, state: 'running' as const, pod: input.pod ?? attempt.pod, startedAt: attempt.startedAt ?? input.at }
  return {
    ok: true,
    job: {
      ...withAttempt(job, changed), state: to, startedAt: job.startedAt ?? input.at,
      reason: job.intent === null ? null : endingReason[job.intent.kind], message: job.intent === null ? null : job.intent.reason
    },
    frames: [status(input.at, to, attempt.number, attempt.node, attempt.state === 'unknown' ? 'seen-again' : null)]
  }
}

function silent(job: JobRecord, attempt: AttemptRecord, message: string, now: number): Outcome {
  const to = next(job.state, 'silent')
  if (to === null) return refuse('refused', `A ${job.state} job is not silent`)
  if (attempt.state === 'unknown') return refuse('no-change', 'Its state is unknown already')
  return {
    ok: true,
    job: { ...withAttempt(job, { ...attempt, state: 'unknown' }), state: to, startedAt: job.startedAt ?? now, reason: 'unknown', message },
    frames: [status(now, to, attempt.number, attempt.node, 'unknown', message)]
  }
}

function exited(job: JobRecord, attempt: AttemptRecord, input: Extract<JobInput, { type: 'exited' }>, now: number, random: number): Outcome {
  const ended = { ...attempt, exitCode: input.exitCode, signal: input.signal, startedAt: attempt.startedAt ?? input.at, finishedAt: input.at }
  const intent = job.intent
  if (intent?.kind === 'cancel') {
    return end(withAttempt(job, { ...ended, state: 'cancelled', reason: 'cancelled' }), 'cancelled',
      { event: 'cancelled', code: 'cancelled', message: intent.reason, exitCode: input.exitCode, now: input.at })
  }
  const succeeded = input.exitCode === 0 && input.signal === null
  if (succeeded && input.cause === null) {
    const to = next(job.state, 'exited-zero')
    if (to === null) return refuse('refused', `A ${job.state} job does not exit`)
    const output = input.output ?? null
    return {
      ok: true,
      job: {
        ...withAttempt(job, { ...ended, state: 'succeeded' }), state: to, reason: null, message: null, intent: null,
        startedAt: job.startedAt ?? input.at, finishedAt: input.at, result: { exitCode: input.exitCode, output }
      },
      frames: [{ type: 'result', time: iso(input.at), state: 'succeeded', exitCode: input.exitCode, output }]
    }
  }
  if (intent?.kind === 'evict') return evicted(job, ended, intent, now)
  if (intent?.kind === 'timeout' || input.cause === 'deadline') {
    return fail(job, { ...ended, state: 'failed', reason: 'timeout' }, 'timeout', 'timeout',
      `It ran longer than timeoutSeconds (${timeoutSeconds(job.spec)} s) and was ended`, now, random)
  }
  if (input.cause === 'out-of-memory') {
    return fail(job, { ...ended, state: 'failed', reason: 'out-of-memory' }, 'failure', 'out-of-memory', 'It used more memory than limits.memory allows', now, random)
  }
  // Stopped without a wish on record: an exit code of 0 is not the program's word that it was done.
  if (succeeded) return fail(job, { ...ended, state: 'failed', reason: 'stopped' }, 'failure', 'stopped', 'It was stopped before it was done', now, random)
  const code = input.signal === null ? 'exit-nonzero' : 'signalled'
  const message = input.signal === null ? `It exited with ${input.exitCode}` : `It was ended by ${input.signal}`
  return fail(job, { ...ended, state: 'failed', reason: code }, 'failure', code, message, now, random)
}

function evicted(job: JobRecord, ended: EndedAttempt, intent: Intent, now: number): Outcome {
  const gone = withAttempt(job, { ...ended, state: 'evicted', reason: 'evicted' })
  if (!intent.requeue) {
    return end(gone, 'cancelled', { event: 'cancelled', code: 'evicted', message: intent.reason, exitCode: ended.exitCode, now })
  }
  return requeue(gone, 'evicted', 'evicted', intent.reason, null, now)
}

function startFailed(job: JobRecord, attempt: AttemptRecord, input: Extract<JobInput, { type: 'start-failed' }>, now: number, random: number): Outcome {
  const ended = { ...attempt, state: 'failed' as const, reason: input.code, finishedAt: input.at }
  if (job.intent?.kind === 'cancel') {
    return end(withAttempt(job, { ...ended, state: 'cancelled' }), 'cancelled', { event: 'cancelled', code: 'cancelled', message: job.intent.reason, exitCode: null, now })
  }
  if (job.intent?.kind === 'evict') return evicted(job, ended, job.intent, now)
  // The runtime said once that it runs, so it counts, whatever is said now.
  if (input.retriable && attempt.startedAt !== null) return fail(job, ended, 'failure', input.code, input.message, now, random)
  if (input.retriable) {
    // Never started: it does not count against maxAttempts (design §2), and the backoff grows by these failures.
    const notStarted = job.attempts.filter((a) => neverStarted(a)).length + 1
    const notBefore = now + backoffMs(job.spec.retry ?? {}, notStarted, random)
    return requeue(withAttempt(job, ended), 'not-started', input.code, input.message, notBefore, now)
  }
  return end(withAttempt(job, ended), 'failed', { event: 'gave-up', code: input.code, message: input.message, exitCode: null, now })
}

function lost(job: JobRecord, attempt: AttemptRecord, input: Extract<JobInput, { type: 'lost' }>, now: number, random: number): Outcome {
  const ended = { ...attempt, state: 'lost' as const, reason: input.code, finishedAt: input.at }
  if (job.intent?.kind === 'cancel') {
    return end(withAttempt(job, ended), 'cancelled', { event: 'cancelled', code: 'cancelled', message: job.intent.reason, exitCode: null, now })
  }
  if (job.intent?.kind === 'evict') return evicted(job, ended, job.intent, now)
  if (onNodeLoss(job.spec) === 'restart') return fail(job, ended, 'node-lost', input.code, input.message, now, random)
  return end(withAttempt(job, ended), 'failed', { event: 'gave-up', code: input.code, message: input.message, exitCode: null, now })
}

/** Ends the attempt; the job retries where its spec allows one more of this cause, else fails with `code`. */
function fail(job: JobRecord, ended: EndedAttempt, cause: 'failure' | 'timeout' | 'node-lost', code: string, message: string, now: number, random: number): Outcome {
  const changed = withAttempt(job, ended)
  const counted = countedAttempts(changed)
  const retry = job.spec.retry ?? {}
  if (!mayRetry(retry, cause, counted)) {
    return end(changed, 'failed', { event: cause === 'node-lost' ? 'gave-up' : 'exited-nonzero', code, message, exitCode: ended.exitCode, now: ended.finishedAt })
  }
  const notBefore = now + backoffMs(retry, counted, random)
  return requeue(changed, 'retries', code, `${message}; attempt ${counted} of ${retry.maxAttempts}, the next one follows`, notBefore, now)
}

function requeue(job: JobRecord, event: JobEvent, reason: string, message: string, notBefore: number | null, now: number): Outcome {
  const to = next(job.state, event)
  if (to === null) return refuse('refused', `A ${job.state} job does not go back into the queue`)
  const attempt = job.attempts.at(-1)!
  return {
    ok: true,
    job: { ...job, state: to, reason, message, intent: null, notBefore, node: null },
    frames: [status(now, to, attempt.number, attempt.node, reason, message)]
  }
}

function end(
  job: JobRecord, state: 'failed' | 'cancelled',
  { event, code, message, exitCode, now }: { event: JobEvent; code: string; message: string; exitCode: number | null; now: number }
): Outcome {
  const to = next(job.state, event)
  if (to !== state) return refuse('refused', `A ${job.state} job does not become ${state} by ${event}`)
  return {
    ok: true,
    job: {
      ...job, state, reason: code, message, intent: null, notBefore: null, finishedAt: now,
      result: exitCode === null ? null : { exitCode, output: null }
    },
    frames: [{ type: 'error', time: iso(now), state, code, message, exitCode }]
  }
}

/** Attempts that count against maxAttempts: not the evicted ones and not those that never started (design §2). */
export function countedAttempts(job: JobRecord): number {
  return job.attempts.filter((attempt) => attempt.state !== 'evicted' && !neverStarted(attempt)).length
}

const neverStarted = (attempt: AttemptRecord): boolean => attempt.state === 'failed' && attempt.startedAt === null

/** What the spec says of a lost node, with its default (design §2). */
export const onNodeLoss = (spec: JobSpec): 'wait' | 'restart' | 'fail' => spec.onNodeLoss ?? ((spec.retry?.maxAttempts ?? 1) > 1 ? 'restart' : 'wait')

const timeoutSeconds = (spec: JobSpec): number => spec.timeoutSeconds ?? 3600

const iso = (ms: number): string => new Date(ms).toISOString()

function next(state: JobState, event: JobEvent): JobState | null {
  return (transitions[state] as Partial<Record<JobEvent, JobState>>)[event] ?? null
}

const withAttempt = (job: JobRecord, attempt: AttemptRecord): JobRecord => ({
  ...job, attempts: job.attempts.map((a) => (a.number === attempt.number ? attempt : a))
})

function status(now: number, state: JobState, attempt: number | null, node: string | null, reason: string | null, message?: string): FrameBody {
  return { type: 'status', time: iso(now), state, attempt, node, reason, ...(message === undefined ? {} : { message }) }
}
