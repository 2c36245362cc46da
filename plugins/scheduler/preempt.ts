import { decide } from '../../src/domain/decide.ts'
import type { JobRecord } from '../../src/domain/job-state.ts'
import type { RunningJob } from '../../src/domain/queue/running.ts'
import type { WaitingJob } from '../../src/domain/queue/waiting.ts'
import type { FrameBody } from '../../src/schemas/frame.ts'
import { system, type Requester } from '../../src/audit.ts'
import type { SchedulerContext } from './context.ts'
import { stateChange } from './control.ts'

/**
 * Ends attempts so that a waiting job can start. The wish is on disk before anything is stopped, for all of them in one
 * transaction: after a kill -9 a start carries it out (recover.ts).
 */
export function createPreempt(context: SchedulerContext, endAttempt: (id: string) => Promise<void>) {
  const { storage, clock, queue, policies, log } = context
  let isStoring = false

  async function preempt(job: WaitingJob, victims: readonly RunningJob[]): Promise<void> {
    // One at a time: the next choice must see what this one frees.
    if (isStoring) return
    isStoring = true
    try {
      const chosen = victims.map((victim) => ({
        victim,
        attempt: context.live.get(victim.id)?.number ?? null
      }))
      const ended = await storage.write(async (tx) => {
        // Stored as queued it also is while a look has taken it and its placing is being stored.
        if (queue.get(job.id) === undefined || (await tx.jobs.find(job.id))?.state !== 'queued') return []
        const changed: { record: JobRecord; frames: readonly FrameBody[] }[] = []
        for (const { victim, attempt } of chosen) {
          const record = await tx.jobs.find(victim.id)
          if (record === null || attempt === null) continue
          const { graceSeconds } = policies.rulesFor(victim.tenant, victim.token, victim.tokenName).preemption
          const outcome = decide(
            record,
            { type: 'preempt', attempt, preemptedFor: job.id, forTenant: job.tenant, graceSeconds },
            clock.now(),
            context.random()
          )
          if (!outcome.ok) continue
          await tx.jobs.update(outcome.job)
          const lastSeq = await tx.events.append(record.id, outcome.frames)
          await tx.audit.append(
            context.audit(onBehalfOf(record.tenant), 'job.preempt', record.id, {
              preemptedFor: job.id,
              ...stateChange(record, outcome.job)
            })
          )
          changed.push({ record: { ...outcome.job, lastSeq }, frames: outcome.frames })
        }
        return changed
      })
      // From here on the room that comes back is this job's.
      if (ended.length > 0) queue.pin(job.id)
      for (const { record, frames } of ended) {
        context.observe.appended(frames)
        context.settle(record)
        void endAttempt(record.id)
      }
    } catch (error) {
      log.warn({ err: error, jobId: job.id }, 'a preemption was not stored; it is decided again')
    } finally {
      isStoring = false
    }
    context.wake()
  }

  return preempt
}

/** The scheduler's own wish, told to the tenant whose job it is. */
const onBehalfOf = (tenant: string): Requester => ({ ...system, principal: { ...system.principal, tenant } })
