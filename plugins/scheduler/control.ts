import { auditAct, type Requester } from '../../src/audit.ts'
import type { Transaction } from '../../src/contracts/storage.ts'
import { currentAttempt, isFinished, type AttemptRecord, type JobRecord } from '../../src/domain/job-state.ts'
import { toJob } from '../../src/domain/job-view.ts'
import { evictionRefusal } from '../../src/domain/policy.ts'
import { RoostError } from '../../src/errors.ts'
import type { Job } from '../../src/schemas/job.ts'
import type { Pod } from '../../src/schemas/node.ts'
import { maySee, type SchedulerContext } from './context.ts'

const podPattern = /^roost-([0-9a-hjkmnp-tv-z]{26})-(\d+)$/
const defaultGraceSeconds = 10

export interface EvictRequest {
  pod?: string
  namespace?: string | null
  jobId?: string
  reason?: string
  gracePeriodSeconds?: number
  requeue?: boolean
}

/**
 * Removes a finished job and returns it. Null where there is none, and where jobs that depend on it have yet to learn
 * that it failed: a start reads a dependency that is gone as one that succeeded.
 */
export async function removeFinished(tx: Transaction, id: string): Promise<JobRecord | null> {
  const job = await tx.jobs.find(id)
  if (job === null) return null
  if (job.state !== 'succeeded' && (await tx.jobs.listDependents(id)).length > 0) return null
  await tx.jobs.remove(id)
  return job
}

export const stateChange = (before: JobRecord, after: JobRecord) => ({
  before: { state: before.state },
  after: { state: after.state }
})

/** What the audit keeps of a job that is gone. */
export const summaryOf = ({ name, state, tenant, finishedAt }: JobRecord) => ({
  name,
  state,
  tenant,
  finishedAt: finishedAt === null ? null : new Date(finishedAt).toISOString()
})

/** What people and programs ask of jobs that are there: cancel, evict, purge; and of the node: drain. */
export function createControl(context: SchedulerContext, endAttempt: (id: string) => Promise<void>) {
  const { storage, live, runtimes, log } = context

  function requireUnfinished(job: JobRecord): void {
    if (isFinished(job.state))
      throw new RoostError('already-finished', `Job ${job.id} has ended: ${job.state}`)
  }

  /** What waits has nothing to end, and stands in the queue already. */
  function requireAttempt(job: JobRecord): void {
    if (currentAttempt(job) === null)
      throw new RoostError(
        'not-running',
        `Job ${job.id} is ${job.state} and waits already; to end it, cancel it, or evict it with requeue false`
      )
  }

  /** What policies protect stays, whoever asks. Throws `policy-denied`. */
  function requireEvictable(job: JobRecord, { startedAt }: AttemptRecord): void {
    const ranSeconds = startedAt === null ? 0 : Math.max(0, (context.clock.now() - startedAt) / 1000)
    const rules = context.policies.rulesFor(job.tenant, job.submittedBy, job.submittedByName)
    const refusal = evictionRefusal(rules, job.spec, ranSeconds)
    if (refusal === null) return
    const { message, ...extra } = refusal
    throw new RoostError('policy-denied', `Job ${job.id} is not evicted: ${message}; it may be cancelled`, {
      extra
    })
  }

  return {
    /** Wishes the job ended. What runs is asked to end; the job is `cancelled` when it has. Throws `job-not-found`, `already-finished`. */
    async cancel(
      id: string,
      request: Requester,
      reason = 'Cancelled on request',
      graceSeconds = defaultGraceSeconds
    ): Promise<Job> {
      requireUnfinished(await context.require(id, request.principal))
      const changed = await context.change(id, { type: 'cancel', reason, graceSeconds }, (before, after) =>
        context.audit(request, 'job.cancel', id, { reason, ...stateChange(before, after) })
      )
      if (changed === null) throw new RoostError('job-not-found', `No job has the id ${id}`)
      // It may have ended while we asked.
      if (!changed.outcome.ok && changed.outcome.why === 'stale') requireUnfinished(changed.job)
      void endAttempt(id)
      return toJob(changed.job)
    },

    /** Removes a finished job for good, with its log. Throws `job-not-found`, `not-finished`. */
    async purge(id: string, request: Requester): Promise<void> {
      const job = await context.require(id, request.principal)
      if (!isFinished(job.state))
        throw new RoostError('not-finished', `Job ${id} is ${job.state}; cancel it first`)
      await storage.write(async (tx) => {
        if ((await removeFinished(tx, id)) === null) {
          throw new RoostError(
            'not-finished',
            `Jobs that depend on ${id} have not heard of its end yet; try again`
          )
        }
        await tx.audit.append(context.audit(request, 'job.purge', id, { before: summaryOf(job) }))
      })
      context.logUsage.forget()
    },

    /**
     * Ends the attempt of a job and, unless told otherwise, puts the job back into the queue. One that only waits is
     * cancelled where it is not to be put back. Throws `job-not-found`, `pod-not-found`, `already-finished`, `not-running`,
     * `policy-denied`.
     */
    async evict(
      asked: EvictRequest,
      request: Requester
    ): Promise<{ jobId: string | null; pod: string | null }> {
      const named = asked.pod === undefined ? null : podPattern.exec(asked.pod)
      const graceSeconds = asked.gracePeriodSeconds ?? defaultGraceSeconds
      const reason = asked.reason ?? 'Evicted on request'
      if (asked.pod !== undefined && named === null)
        return await evictStranger(asked.pod, asked.namespace ?? null, graceSeconds, request)
      const id = asked.jobId ?? named![1]!
      const job = await storage.jobs.find(id)
      if (job === null || !maySee(request.principal, job)) {
        throw asked.jobId === undefined
          ? new RoostError('pod-not-found', `No workload is named ${asked.pod}`)
          : new RoostError('job-not-found', `No job has the id ${id}`)
      }
      requireUnfinished(job)
      const attempt = currentAttempt(job)
      if (named !== null && attempt?.number !== Number(named[2])) {
        if (Number(named[2]) > (job.attempts.at(-1)?.number ?? 0))
          throw new RoostError('pod-not-found', `No workload is named ${asked.pod}`)
        throw new RoostError('already-finished', `Attempt ${named[2]} of job ${id} has ended`)
      }
      const requeue = asked.requeue ?? true
      if (requeue) requireAttempt(job)
      if (attempt !== null) requireEvictable(job, attempt)
      const changed = await context.change(
        id,
        { type: 'evict', reason, requeue, graceSeconds },
        (before, after) => context.audit(request, 'job.evict', id, { reason, ...stateChange(before, after) })
      )
      if (changed === null) throw new RoostError('job-not-found', `No job has the id ${id}`)
      if (!changed.outcome.ok) {
        // It may have ended, or gone back into the queue, while we asked.
        if (changed.outcome.why === 'stale') requireUnfinished(changed.job)
        else if (requeue) requireAttempt(changed.job)
      }
      void endAttempt(id)
      return { jobId: id, pod: attempt?.pod ?? null }
    },

    /** Takes no more jobs; what runs may end by itself. Survives a restart. */
    async drain(request: Requester, nodeId: string): Promise<void> {
      await storage.write(async (tx) => {
        const before = { draining: (await tx.settings.get('drain')) !== null }
        await tx.settings.set('drain', 'true')
        await tx.audit.append(
          context.audit(request, 'node.drain', nodeId, { before, after: { draining: true } })
        )
      })
      context.draining = true
      log.info('draining: no job is placed here from now on')
    },

    /** Takes jobs again; also ends the pause of a restored backup. */
    async undrain(request: Requester, nodeId: string): Promise<void> {
      await storage.write(async (tx) => {
        const before = {
          draining: (await tx.settings.get('drain')) !== null,
          restored: (await tx.settings.get('restored')) !== null
        }
        await tx.settings.set('drain', null)
        await tx.settings.set('restored', null)
        const after = { draining: false, restored: false }
        await tx.audit.append(context.audit(request, 'node.undrain', nodeId, { before, after }))
      })
      context.draining = false
      context.paused = null
      log.info('undrained: jobs are placed here again')
      context.wake()
    },

    /** Workloads of every runtime that this tenant may see; strangers' (of no job) only with the admin scope. */
    async listPods(request: Pick<Requester, 'principal'>): Promise<Pod[]> {
      const all = (await Promise.all(runtimes.list().map((runtime) => runtime.list()))).flat()
      return all
        .filter((pod) =>
          pod.jobId === null
            ? request.principal.scopes.has('admin')
            : maySee(request.principal, { tenant: live.get(pod.jobId)?.tenant ?? 'default' })
        )
        .map((pod) => ({ ...pod, node: context.node.id }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    }
  }

  async function evictStranger(
    pod: string,
    namespace: string | null,
    graceSeconds: number,
    request: Requester
  ): Promise<{ jobId: null; pod: string }> {
    for (const runtime of runtimes.list()) {
      if (runtime.evict === undefined) continue
      const found = (await runtime.list()).find(
        (candidate) => candidate.name === pod && (namespace === null || candidate.namespace === namespace)
      )
      if (found === undefined) continue
      if (!request.principal.scopes.has('admin'))
        throw new RoostError(
          'policy-denied',
          `${pod} is not one of Roost's; evicting it needs the scope admin`
        )
      const detail = { runtime: runtime.name, namespace }
      await auditAct(
        context,
        request,
        { action: 'pod.evict', subject: pod, detail },
        async () => await runtime.evict?.(pod, { namespace, graceSeconds })
      )
      return { jobId: null, pod }
    }
    throw new RoostError('pod-not-found', `No workload is named ${pod}`)
  }
}
