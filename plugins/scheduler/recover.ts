import { dependencyVerdict } from '../../src/domain/dependencies.ts'
import { attemptName, currentAttempt, type JobRecord } from '../../src/domain/job-state.ts'
import type { SchedulerContext } from './context.ts'
import { requestsOf, toQueueEntry } from './placing.ts'

const pageSize = 500

/**
 * At start: puts queued jobs back into the queue, counts what runs against the capacity and gives each live attempt to
 * its runtime to be found again. Of a restored backup nothing is started or re-attached: what ran when it was made may
 * have ended or may run elsewhere.
 */
export async function recover(
  context: SchedulerContext,
  hand: (job: JobRecord, how: 'adopt') => Promise<void>,
  endAttempt: (id: string) => Promise<void>
): Promise<{ queued: number; adopted: number }> {
  const { storage, queue, capacity, clock, log } = context
  context.draining = (await storage.settings.get('drain')) !== null
  const restored = await storage.settings.get('restored')
  // The traces of its attempts are in another data directory, perhaps on another machine (Postgres).
  const moved = await storage.settings.get('moved')
  const adopt: JobRecord[] = []
  const lost: string[] = []
  /** Jobs that others were ended for, and when the last of those ended. */
  const preemptors = new Map<string, number>()
  let queued = 0
  for (let after: string | null = null; ;) {
    const page: JobRecord[] = await storage.jobs.listUnfinished(after, pageSize)
    for (const job of page) {
      const attempt = currentAttempt(job)
      const last = job.attempts.at(-1)
      if (job.intent?.preemptedFor !== undefined) preemptors.set(job.intent.preemptedFor, Infinity)
      else if (last?.preemptedBy != null)
        preemptors.set(
          last.preemptedBy,
          Math.max(preemptors.get(last.preemptedBy) ?? 0, last.finishedAt ?? 0)
        )
      if (attempt === null) {
        const verdict = await waitingFor(context, job)
        if (verdict !== null) {
          queue.add(toQueueEntry(context, job, verdict))
          queued++
        }
      } else if (restored !== null || moved !== null) {
        lost.push(job.id)
        await context.change(job.id, {
          type: 'lost',
          attempt: attempt.number,
          at: clock.now(),
          code: restored === null ? 'moved' : 'restored',
          final: true,
          message: `It ran when the ${restored === null ? 'service had another data directory' : 'backup was made'}; whether it ended is not known, so it is not run again by itself. Run it again with: roost rerun`
        })
      } else {
        capacity.restore(job.id, { ...requestsOf(job.spec), gpus: attempt.gpus })
        adopt.push(job)
      }
    }
    if (page.length < pageSize) break
    after = page.at(-1)!.id
  }
  if (restored !== null) {
    context.paused =
      `restored from a backup; nothing runs until "roost undrain". ${queued} ${queued === 1 ? 'job that waited starts' : 'jobs that waited start'} then (they may have run since the backup); ` +
      `${lost.length} ${lost.length === 1 ? 'job that ran then is' : 'jobs that ran then are'} not run again by themselves${lost.length === 0 ? '' : `: ${lost.slice(0, 20).join(', ')}${lost.length > 20 ? ', …' : ''}`}`
    log.warn(context.paused)
  }
  if (moved !== null) {
    log.warn({ jobs: lost }, 'attempts of another data directory were given up')
    await storage.write((tx) => tx.settings.set('moved', null))
  }
  if (restored === null) {
    const kept = new Set(adopt.map((job) => attemptName(job.id, job.attempts.at(-1)!.number)))
    for (const runtime of context.runtimes.list()) await runtime.sweep?.(kept)
  }
  // Room that was made for a job before the restart is still its own, where it has not run since.
  for (const [id, endedAt] of preemptors) if ((queue.get(id)?.since ?? Infinity) <= endedAt) queue.pin(id)
  for (const job of adopt) {
    context.settle(job)
    // One at a time would make a start with a thousand jobs slow; the runtime orders its own work.
    void hand(job, 'adopt').then(() => (job.intent === null ? undefined : endAttempt(job.id)))
  }
  return { queued, adopted: adopt.length }
}

/** Jobs that this one still waits for; null where one of them failed, and this job with it. */
export async function waitingFor(
  context: SchedulerContext,
  job: JobRecord
): Promise<readonly string[] | null> {
  const dependsOn = job.spec.dependsOn ?? []
  if (dependsOn.length === 0) return []
  // A dependency that is gone succeeded: one that failed stays until those that wait for it have heard of it.
  const verdict = dependencyVerdict(await context.storage.jobs.states(job.tenant, dependsOn), dependsOn)
  if ('failed' in verdict) {
    await context.change(job.id, {
      type: 'dependency-failed',
      dependency: verdict.failed,
      state: verdict.state
    })
    return null
  }
  return verdict.ready ? [] : verdict.waitingFor
}
