import { end, exited, lost, startFailed } from './endings.ts'
import {
  currentAttempt,
  attemptName,
  isFinished,
  next,
  refuse,
  status,
  timeoutGraceSeconds,
  timeoutSeconds,
  withAttempt,
  type AttemptRecord,
  type Intent,
  type JobInput,
  type JobRecord,
  type Outcome
} from './job-state.ts'

/**
 * The one place where a job changes. Pure: `random` in [0,1) spreads the backoff, `now` is wall time in ms.
 * Returns the job as it is afterwards and the frames to append, or why nothing changes.
 */
export function decide(job: JobRecord, input: JobInput, now: number, random: number): Outcome {
  if (isFinished(job.state)) return refuse('stale', `The job has ended: ${job.state}`)
  const attempt = currentAttempt(job)
  if ('attempt' in input && (attempt === null || attempt.number !== input.attempt)) {
    return refuse('stale', `Attempt ${input.attempt} is not the current one (${attempt?.number ?? 'none'})`)
  }
  switch (input.type) {
    case 'place':
      return place(job, input, now)
    case 'wait':
      return wait(job, input, now)
    case 'dependency-failed':
      if (attempt !== null)
        return refuse('refused', 'An attempt is under way: what it depends on is not asked any more')
      return end(job, 'cancelled', {
        event: 'cancelled',
        code: 'dependency-failed',
        message: `Job ${input.dependency}, which this one depends on, has ended: ${input.state}`,
        exitCode: null,
        now
      })
    case 'cancel':
      if (attempt === null)
        return end(job, 'cancelled', {
          event: 'cancelled',
          code: 'cancelled',
          message: input.reason,
          exitCode: null,
          now
        })
      return ask(
        job,
        { kind: 'cancel', reason: input.reason, requeue: false, graceSeconds: input.graceSeconds },
        now
      )
    case 'evict':
      if (attempt === null) {
        return input.requeue
          ? refuse('no-change', 'The job is waiting in the queue already')
          : end(job, 'cancelled', {
              event: 'cancelled',
              code: 'evicted',
              message: input.reason,
              exitCode: null,
              now
            })
      }
      return ask(
        job,
        { kind: 'evict', reason: input.reason, requeue: input.requeue, graceSeconds: input.graceSeconds },
        now
      )
    case 'preempt':
      return ask(
        job,
        {
          kind: 'preempt',
          reason: `Preempted for ${input.forTenant === job.tenant ? `job ${input.preemptedFor}` : 'a job of another tenant'}`,
          requeue: true,
          graceSeconds: input.graceSeconds,
          preemptedFor: input.preemptedFor
        },
        now
      )
    case 'time-out':
      if (attempt === null) return refuse('refused', 'No attempt is running')
      return ask(
        job,
        {
          kind: 'timeout',
          reason: `It ran longer than ${timeoutSeconds(job.spec)} s`,
          requeue: false,
          graceSeconds: timeoutGraceSeconds
        },
        now
      )
    case 'started':
      return started(job, attempt!, input)
    case 'unknown':
      return silent(job, attempt!, input.message, now)
    case 'exited':
      return exited(job, attempt!, input, now, random)
    case 'start-failed':
      return startFailed(job, attempt!, input, now, random)
    case 'lost':
      return lost(job, attempt!, input, now, random)
  }
}

function place(job: JobRecord, input: Extract<JobInput, { type: 'place' }>, now: number): Outcome {
  const to = next(job.state, 'placed')
  if (to === null) return refuse('refused', `A ${job.state} job is not placed`)
  const number = (job.attempts.at(-1)?.number ?? 0) + 1
  const attempt: AttemptRecord = {
    number,
    state: 'starting',
    node: input.node,
    runtime: input.runtime,
    pod: attemptName(job.id, number),
    exitCode: null,
    signal: null,
    reason: null,
    startedAt: null,
    finishedAt: null,
    cursor: null,
    gpus: input.gpus,
    // Whole milliseconds: the storage takes nothing else, and the job would never start.
    deadlineAt: now + Math.ceil(timeoutSeconds(job.spec) * 1000),
    preemptedBy: null
  }
  return {
    ok: true,
    job: {
      ...job,
      state: to,
      reason: null,
      message: null,
      node: input.node,
      placement: input.placement,
      notBefore: null,
      attempts: [...job.attempts, attempt]
    },
    frames: [status(now, to, number, input.node, null)]
  }
}

function wait(job: JobRecord, input: Extract<JobInput, { type: 'wait' }>, now: number): Outcome {
  const to = next(job.state, 'waits')
  if (to === null) return refuse('refused', `A ${job.state} job does not wait`)
  if (job.reason === input.reason && job.message === input.message)
    return refuse('no-change', 'It waits for that already')
  return {
    ok: true,
    job: {
      ...job,
      reason: input.reason,
      message: input.message,
      placement: input.placement ?? job.placement
    },
    // The same reason in other words (a number moved) is no news for the log.
    frames: job.reason === input.reason ? [] : [status(now, to, null, null, input.reason, input.message)]
  }
}

const endingReason = {
  cancel: 'cancelling',
  evict: 'evicting',
  timeout: 'timing-out',
  preempt: 'preempting'
} as const

/** Later wishes do not weaken earlier ones: a cancel stays a cancel, and replaces every other. */
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

function started(
  job: JobRecord,
  attempt: AttemptRecord,
  input: Extract<JobInput, { type: 'started' }>
): Outcome {
  const to = next(job.state, 'started')
  if (to === null) return refuse('refused', `A ${job.state} job does not start`)
  if (attempt.state === 'running') return refuse('no-change', 'It runs already')
  const changed = {
    ...attempt,
    state: 'running' as const,
    pod: input.pod ?? attempt.pod,
    startedAt: attempt.startedAt ?? input.at
  }
  return {
    ok: true,
    job: {
      ...withAttempt(job, changed),
      state: to,
      startedAt: job.startedAt ?? input.at,
      reason: job.intent === null ? null : endingReason[job.intent.kind],
      message: job.intent === null ? null : job.intent.reason
    },
    frames: [
      status(input.at, to, attempt.number, attempt.node, attempt.state === 'unknown' ? 'seen-again' : null)
    ]
  }
}

function silent(job: JobRecord, attempt: AttemptRecord, message: string, now: number): Outcome {
  const to = next(job.state, 'silent')
  if (to === null) return refuse('refused', `A ${job.state} job is not silent`)
  if (attempt.state === 'unknown') return refuse('no-change', 'Its state is unknown already')
  return {
    ok: true,
    job: {
      ...withAttempt(job, { ...attempt, state: 'unknown' }),
      state: to,
      startedAt: job.startedAt ?? now,
      reason: 'unknown',
      message
    },
    frames: [status(now, to, attempt.number, attempt.node, 'unknown', message)]
  }
}
