import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Runtime } from '../../src/contracts/runtime.ts'
import type { AuditRecord, Storage } from '../../src/contracts/storage.ts'
import { auditRecord, type Requester } from '../../src/audit.ts'
import { decide } from '../../src/domain/decide.ts'
import { type Intent, type JobInput, type JobRecord, type Outcome } from '../../src/domain/job-state.ts'
import type { PolicyReader } from '../../src/domain/policy.ts'
import { RoostError } from '../../src/errors.ts'
import type { Principal } from '../../src/schemas/token.ts'
import type { Capacity } from '../capacity/index.ts'
import type { Runtimes } from '../runtimes/index.ts'
import type { Secrets } from '../secrets/index.ts'
import type { Webhooks } from '../webhooks/index.ts'
import type { Observability } from '../../src/contracts/observability.ts'
import { createLogUsage } from './log-usage.ts'
import { createObserver } from './observe.ts'
import { defaultMsPerPoint } from '../../src/domain/queue/order.ts'
import type { Reservation } from '../../src/domain/queue/backfill.ts'
import { createRunning } from '../../src/domain/queue/running.ts'
import { createWaiting, type WaitingJob } from '../../src/domain/queue/waiting.ts'
import { keepWebhook } from './webhook.ts'
import type { AttemptTrace } from './traces.ts'

export interface SchedulerOptions {
  storage: Storage
  clock: Clock
  runtimes: Runtimes
  capacity: Capacity
  secrets: Secrets
  policies: PolicyReader
  webhooks: Pick<Webhooks, 'require' | 'wake'>
  log: FastifyBaseLogger
  node: { id: string; name: string; labels: Record<string, string> }
  logCapBytes: number
  /** How long an Idempotency-Key replays its answer; it is pruned after that. */
  idempotencyKeptMs: number
  /** So long a job waits for one more point of priority. */
  ageingMsPerPoint?: number
  /** Default: nothing is counted. */
  observability?: Observability
  /** In [0,1); spreads backoffs and breaks ties. */
  random?: () => number
}

/** An attempt that is not over, as this node holds it in memory; rebuilt from storage at start. */
export interface LiveAttempt {
  jobId: string
  number: number
  name: string
  tenant: string
  runtime: Runtime | null
  intent: Intent | null
  /** True once the runtime has been told to start or adopt it: only then can it be stopped. */
  handed: boolean
  /** True while it is not known whether its last output was stored; what is said again is compared first. */
  isDoubtful: boolean
  deadline: { cancel(): void } | null
  startedAt: number | null
  /** False once it has printed something, as far as this service saw. */
  isSilent: boolean
  trace: AttemptTrace | null
}

/** What the parts of the scheduler share. State here never runs ahead of a commit. */
export function createContext(options: SchedulerOptions) {
  const { storage, clock } = options
  const random = options.random ?? Math.random

  const context = {
    ...options,
    random,
    observe: createObserver(options.observability),
    queue: createWaiting(options.ageingMsPerPoint ?? defaultMsPerPoint),
    /** What runs or is about to, as the order of the queue sees it. */
    running: createRunning(),
    /** The promise to the job that was next and lacked room at the last look. */
    reservation: null as Reservation | null,
    /** What the logs of tenants keep, where a policy bounds it. */
    logUsage: createLogUsage(storage.jobs, clock),
    live: new Map<string, LiveAttempt>(),
    /** Jobs taken from the queue whose placing is not committed yet. */
    placing: new Set<string>(),
    draining: false,
    /** Why nothing is placed (a restored backup), or null. */
    paused: null as string | null,
    stopped: false,

    /** Set by dispatch: look at the queue again, because of one new job or of whatever else happened. */
    wake: (_arrived?: WaitingJob): void => {},
    /** Set by progress: memory follows a committed change. */
    settle: (_job: JobRecord): void => {},

    /**
     * Applies one input to one job in one transaction. Returns the job as committed and what `decide` said; null where
     * there is no such job.
     */
    async change(
      id: string,
      input: JobInput,
      audit?: (before: JobRecord, after: JobRecord) => AuditRecord
    ): Promise<{ job: JobRecord; outcome: Outcome } | null> {
      const result = await storage.write(async (tx) => {
        const job = await tx.jobs.find(id)
        if (job === null) return null
        const outcome = decide(job, input, clock.now(), random())
        if (!outcome.ok) return { job, outcome }
        await tx.jobs.update(outcome.job)
        await keepWebhook(tx, outcome.job)
        const lastSeq = outcome.frames.length === 0 ? job.lastSeq : await tx.events.append(id, outcome.frames)
        if (audit !== undefined) await tx.audit.append(audit(job, outcome.job))
        return { job: { ...outcome.job, lastSeq }, outcome }
      })
      if (result?.outcome.ok) {
        context.observe.appended(result.outcome.frames)
        context.settle(result.job)
      }
      return result
    },

    /** The job where this tenant may see it. Throws `job-not-found`. */
    async require(id: string, principal: Principal): Promise<JobRecord> {
      const job = await storage.jobs.find(id)
      if (job === null || !maySee(principal, job))
        throw new RoostError('job-not-found', `No job has the id ${id}`)
      return job
    },

    audit: (
      request: Requester,
      action: string,
      subject: string,
      detail: Record<string, unknown> = {}
    ): AuditRecord => auditRecord(request, clock.now(), action, subject, detail)
  }
  return context
}

export type SchedulerContext = ReturnType<typeof createContext>

/** Tenants see their own things; the admin scope sees all. */
export const maySee = (principal: Principal, job: { tenant: string }): boolean =>
  job.tenant === principal.tenant || seesAll(principal)

export const seesAll = ({ scopes }: Principal): boolean => scopes.has('admin')
