import type { Span, Tracing } from '../../src/contracts/observability.ts'
import { attemptName, type AttemptRecord, type JobRecord } from '../../src/domain/job-state.ts'
import type { JobSpec } from '../../src/schemas/job.ts'

/** The variable by which a program learns of which trace it is part (the convention of OpenTelemetry). */
export const traceVariable = 'TRACEPARENT'

/** The spans of one attempt: the whole of it, and its start while that is under way. */
export interface AttemptTrace {
  whole: Span
  start: Span | null
}

/**
 * The spans of jobs: `job.accept` in the caller's trace; for each attempt a trace of its own, `job.attempt` with
 * `job.place`, `job.start` and `job.finish` below it, each linked to the acceptance by the traceparent that is stored
 * with the job. The ids of an attempt's trace follow from its name, so that they are the same after a restart.
 */
export function createTraces(tracing: Tracing | null) {
  const linksOf = (job: JobRecord): string[] => {
    const stored = job.spec.env?.[traceVariable]
    return stored === undefined ? [] : [stored]
  }
  const attributesOf = (job: JobRecord, attempt: AttemptRecord) => ({
    'roost.job.id': job.id,
    'roost.job.attempt': attempt.number,
    'roost.tenant': job.tenant,
    'roost.node': attempt.node,
    'roost.runtime': attempt.runtime
  })

  /** The attempt's own span, begun now or, where the service was restarted meanwhile, begun again as the same one. */
  function open(job: JobRecord, attempt: AttemptRecord, at?: number): AttemptTrace | null {
    if (tracing === null) return null
    const whole = tracing.span('job.attempt', {
      identity: attemptName(job.id, attempt.number),
      links: linksOf(job),
      attributes: attributesOf(job, attempt),
      ...(at === undefined ? {} : { at })
    })
    return { whole, start: null }
  }

  return {
    open,

    /** Runs an acceptance within a span of the request's trace; `work` gets the traceparent to store. */
    async accept<T extends { job: { id: string }; replayed: boolean }>(
      traceparent: string | undefined,
      work: (traceparent: string | undefined) => Promise<T>
    ): Promise<T> {
      if (tracing === null) return await work(traceparent)
      const active = tracing.active() ?? traceparent ?? null
      const span = tracing.span('job.accept', { parent: active })
      try {
        const accepted = await span.run(() => work(span.traceparent))
        span.set({ 'roost.job.id': accepted.job.id, 'roost.replayed': accepted.replayed })
        span.end()
        return accepted
      } catch (error) {
        span.end({ failure: error })
        throw error
      }
    },

    /** A placing was committed; it began at `began`. */
    placed(job: JobRecord, attempt: AttemptRecord, began: number): AttemptTrace | null {
      const trace = open(job, attempt, began)
      tracing
        ?.span('job.place', {
          parent: trace!.whole.traceparent,
          links: linksOf(job),
          attributes: attributesOf(job, attempt),
          at: began
        })
        .end()
      return trace
    },

    /** The attempt is given to its runtime. */
    starting(job: JobRecord, attempt: AttemptRecord, trace: AttemptTrace | null): void {
      if (tracing === null || trace === null) return
      trace.start = tracing.span('job.start', {
        parent: trace.whole.traceparent,
        links: linksOf(job),
        attributes: attributesOf(job, attempt)
      })
    },

    started(trace: AttemptTrace | null): void {
      trace?.start?.end()
      if (trace !== null) trace.start = null
    },

    /** The end is committed. */
    ended(job: JobRecord, attempt: AttemptRecord, trace: AttemptTrace | null): void {
      if (tracing === null || trace === null) return
      const failed = attempt.state === 'succeeded' ? {} : { failure: attempt.reason ?? attempt.state }
      // Still open: it ended before it was seen to start.
      trace.start?.end(attempt.startedAt === null ? failed : {})
      const outcome = {
        'roost.outcome': attempt.state,
        ...(attempt.exitCode === null ? {} : { 'roost.exit_code': attempt.exitCode }),
        ...(attempt.signal === null ? {} : { 'roost.signal': attempt.signal })
      }
      const finish = tracing.span('job.finish', {
        parent: trace.whole.traceparent,
        links: linksOf(job),
        attributes: { ...attributesOf(job, attempt), ...outcome },
        ...(attempt.finishedAt === null ? {} : { at: attempt.finishedAt })
      })
      finish.end(failed)
      trace.whole.set(outcome)
      trace.whole.end(failed)
    },

    /** What the attempt's program gets: its own spans hang below the attempt's. */
    environmentOf: (trace: AttemptTrace | null): Record<string, string> =>
      trace === null ? {} : { [traceVariable]: trace.whole.traceparent }
  }
}

/**
 * The spec with the trace context that it is stored with. What the spec itself says stays stored; where attempts have
 * spans (`environmentOf`), their programs get those.
 */
export const withTrace = (spec: JobSpec, traceparent: string | undefined): JobSpec =>
  traceparent === undefined ? spec : { ...spec, env: { [traceVariable]: traceparent, ...spec.env } }
