import {
  countedAttempts,
  iso,
  neverStarted,
  next,
  onNodeLoss,
  refuse,
  status,
  timeoutSeconds,
  withAttempt,
  type AttemptRecord,
  type EndedAttempt,
  type Intent,
  type JobEvent,
  type JobInput,
  type JobRecord,
  type Outcome
} from './job-state.ts'
import { backoffMs, mayRetry } from './retry.ts'

export function exited(
  job: JobRecord,
  attempt: AttemptRecord,
  input: Extract<JobInput, { type: 'exited' }>,
  now: number,
  random: number
): Outcome {
  const ended = {
    ...attempt,
    exitCode: input.exitCode,
    signal: input.signal,
    startedAt: attempt.startedAt ?? input.at,
    finishedAt: input.at
  }
  const intent = job.intent
  if (intent?.kind === 'cancel') {
    return cancelled(
      withAttempt(job, { ...ended, state: 'cancelled', reason: 'cancelled' }),
      intent,
      input.exitCode,
      input.at
    )
  }
  const succeeded = input.exitCode === 0 && input.signal === null
  if (succeeded && input.cause === null) {
    const to = next(job.state, 'exited-zero')
    if (to === null) return refuse('refused', `A ${job.state} job does not exit`)
    const output = input.output ?? null
    return {
      ok: true,
      job: {
        ...withAttempt(job, { ...ended, state: 'succeeded' }),
        state: to,
        reason: null,
        message: null,
        intent: null,
        startedAt: job.startedAt ?? input.at,
        finishedAt: input.at,
        result: { exitCode: input.exitCode, output }
      },
      frames: [{ type: 'result', time: iso(input.at), state: 'succeeded', exitCode: input.exitCode, output }]
    }
  }
  if (intent !== null && isEviction(intent)) return evicted(job, ended, intent, now)
  if (intent?.kind === 'timeout' || input.cause === 'deadline') {
    return fail(
      job,
      { ...ended, state: 'failed', reason: 'timeout' },
      'timeout',
      'timeout',
      `It ran longer than timeoutSeconds (${timeoutSeconds(job.spec)} s) and was ended`,
      now,
      random
    )
  }
  if (input.cause === 'out-of-memory') {
    return fail(
      job,
      { ...ended, state: 'failed', reason: 'out-of-memory' },
      'failure',
      'out-of-memory',
      'It used more memory than limits.memory allows',
      now,
      random
    )
  }
  // Stopped without a wish on record: an exit code of 0 is not the program's word that it was done.
  if (succeeded)
    return fail(
      job,
      { ...ended, state: 'failed', reason: 'stopped' },
      'failure',
      'stopped',
      'It was stopped before it was done',
      now,
      random
    )
  const code = input.signal === null ? 'exit-nonzero' : 'signalled'
  const message =
    input.signal === null ? `It exited with ${input.exitCode}` : `It was ended by ${input.signal}`
  return fail(job, { ...ended, state: 'failed', reason: code }, 'failure', code, message, now, random)
}

/** Ended from outside, which does not count against maxAttempts. */
const isEviction = ({ kind }: Intent): boolean => kind === 'evict' || kind === 'preempt'

function evicted(job: JobRecord, ended: EndedAttempt, intent: Intent, now: number): Outcome {
  const reason = intent.kind === 'preempt' ? 'preempted' : 'evicted'
  const gone = withAttempt(job, {
    ...ended,
    state: 'evicted',
    reason,
    preemptedBy: intent.preemptedFor ?? null
  })
  if (!intent.requeue) {
    return end(gone, 'cancelled', {
      event: 'cancelled',
      code: 'evicted',
      message: intent.reason,
      exitCode: ended.exitCode,
      now
    })
  }
  return requeue(gone, 'evicted', reason, intent.reason, null, now)
}

/** The end that a cancel asked for, whatever the attempt itself came to. */
const cancelled = (job: JobRecord, intent: Intent, exitCode: number | null, now: number): Outcome =>
  end(job, 'cancelled', { event: 'cancelled', code: 'cancelled', message: intent.reason, exitCode, now })

/** No further attempt: the job fails with the runtime's word. */
const giveUp = (job: JobRecord, { code, message }: { code: string; message: string }, now: number): Outcome =>
  end(job, 'failed', { event: 'gave-up', code, message, exitCode: null, now })

export function startFailed(
  job: JobRecord,
  attempt: AttemptRecord,
  input: Extract<JobInput, { type: 'start-failed' }>,
  now: number,
  random: number
): Outcome {
  const ended = { ...attempt, state: 'failed' as const, reason: input.code, finishedAt: input.at }
  if (job.intent?.kind === 'cancel') {
    return cancelled(withAttempt(job, { ...ended, state: 'cancelled' }), job.intent, null, now)
  }
  if (job.intent !== null && isEviction(job.intent)) return evicted(job, ended, job.intent, now)
  // The runtime said once that it runs, so it counts, whatever is said now.
  if (input.retriable && attempt.startedAt !== null)
    return fail(job, ended, 'failure', input.code, input.message, now, random)
  if (input.retriable) {
    // Never started: it does not count against maxAttempts (design §2), and the backoff grows by these failures.
    const notStarted = job.attempts.filter((a) => neverStarted(a)).length + 1
    const notBefore = now + backoffMs(job.spec.retry ?? {}, notStarted, random)
    return requeue(withAttempt(job, ended), 'not-started', input.code, input.message, notBefore, now)
  }
  return giveUp(withAttempt(job, ended), input, now)
}

export function lost(
  job: JobRecord,
  attempt: AttemptRecord,
  input: Extract<JobInput, { type: 'lost' }>,
  now: number,
  random: number
): Outcome {
  const ended = { ...attempt, state: 'lost' as const, reason: input.code, finishedAt: input.at }
  if (job.intent?.kind === 'cancel') {
    return cancelled(withAttempt(job, ended), job.intent, null, now)
  }
  if (input.final !== true) {
    if (job.intent !== null && isEviction(job.intent)) return evicted(job, ended, job.intent, now)
    if (onNodeLoss(job.spec) === 'restart')
      return fail(job, ended, 'node-lost', input.code, input.message, now, random)
  }
  return giveUp(withAttempt(job, ended), input, now)
}

/** Ends the attempt; the job retries where its spec allows one more of this cause, else fails with `code`. */
function fail(
  job: JobRecord,
  ended: EndedAttempt,
  cause: 'failure' | 'timeout' | 'node-lost',
  code: string,
  message: string,
  now: number,
  random: number
): Outcome {
  const changed = withAttempt(job, ended)
  const counted = countedAttempts(changed)
  const retry = job.spec.retry ?? {}
  if (!mayRetry(retry, cause, counted)) {
    return end(changed, 'failed', {
      event: cause === 'node-lost' ? 'gave-up' : 'exited-nonzero',
      code,
      message,
      exitCode: ended.exitCode,
      now: ended.finishedAt
    })
  }
  const notBefore = now + backoffMs(retry, counted, random)
  return requeue(
    changed,
    'retries',
    code,
    `${message}; attempt ${counted} of ${retry.maxAttempts}, the next one follows`,
    notBefore,
    now
  )
}

function requeue(
  job: JobRecord,
  event: JobEvent,
  reason: string,
  message: string,
  notBefore: number | null,
  now: number
): Outcome {
  const to = next(job.state, event)
  if (to === null) return refuse('refused', `A ${job.state} job does not go back into the queue`)
  const attempt = job.attempts.at(-1)!
  return {
    ok: true,
    job: { ...job, state: to, reason, message, intent: null, notBefore, node: null },
    frames: [status(now, to, attempt.number, attempt.node, reason, message)]
  }
}

export function end(
  job: JobRecord,
  state: 'failed' | 'cancelled',
  {
    event,
    code,
    message,
    exitCode,
    now
  }: { event: JobEvent; code: string; message: string; exitCode: number | null; now: number }
): Outcome {
  const to = next(job.state, event)
  if (to !== state) return refuse('refused', `A ${job.state} job does not become ${state} by ${event}`)
  return {
    ok: true,
    job: {
      ...job,
      state,
      reason: code,
      message,
      intent: null,
      notBefore: null,
      finishedAt: now,
      result: exitCode === null ? null : { exitCode, output: null }
    },
    frames: [{ type: 'error', time: iso(now), state, code, message, exitCode }]
  }
}
