import { currentAttempt, type JobRecord } from '../../src/domain/job-state.ts'
import type { SchedulerContext } from './context.ts'
import { requestsOf, toQueueEntry } from './placing.ts'
import { waitingFor } from './recover.ts'

const pageSize = 500
const faultPauseMs = 1_000

/**
 * Brings memory up to the storage after a commit that was told as failed turned out to be stored (its answer was lost
 * with the connection to a database): jobs accepted, placed or ended by it are not in memory as they are on disk.
 */
export function createReread(
  context: SchedulerContext,
  hand: (job: JobRecord, how: 'adopt') => Promise<void>,
  endAttempt: (id: string) => Promise<void>
): () => Promise<void> {
  const { storage, queue, live, capacity, clock, log } = context

  /** Whether memory has another picture of a job than its row. What is being placed right now finds out by itself. */
  function differs(job: JobRecord): boolean {
    const attempt = currentAttempt(job)
    const held = live.get(job.id)
    const isQueued = queue.get(job.id) !== undefined || context.placing.has(job.id)
    if (attempt === null) return held !== undefined || !isQueued
    return (
      queue.get(job.id) !== undefined ||
      held?.number !== attempt.number ||
      held.startedAt !== attempt.startedAt ||
      (held.intent === null) !== (job.intent === null)
    )
  }

  async function follow(id: string): Promise<void> {
    // As a write it comes after all that memory has heard of, so that nothing goes back in time.
    const job = await storage.write((tx) => tx.jobs.find(id))
    if (job === null) {
      queue.remove(id)
      return
    }
    const attempt = currentAttempt(job)
    if (job.state === 'queued' && queue.get(id) === undefined && !context.placing.has(id)) {
      const waits = await waitingFor(context, job)
      if (waits === null) return
      queue.add(toQueueEntry(context, job, waits))
      if (job.attempts.length === 0) context.observe.accepted()
    }
    const isUnknown = attempt !== null && live.get(id)?.number !== attempt.number
    if (isUnknown) {
      capacity.restore(id, { ...requestsOf(job.spec), gpus: attempt.gpus })
      context.observe.placed(attempt)
    }
    context.settle(job)
    if (isUnknown) await hand(job, 'adopt')
    if (job.intent !== null) await endAttempt(id)
  }

  async function readAll(): Promise<number> {
    const unseen = new Set([...live.keys(), ...[...queue.all()].map(({ id }) => id)])
    const behind: string[] = []
    for (let after: string | null = null; ;) {
      const page: JobRecord[] = await storage.jobs.listUnfinished(after, pageSize)
      for (const job of page) {
        unseen.delete(job.id)
        if (differs(job)) behind.push(job.id)
      }
      if (page.length < pageSize) break
      after = page.at(-1)!.id
    }
    behind.push(...unseen)
    for (const id of behind) await follow(id)
    context.draining = (await storage.settings.get('drain')) !== null
    if ((await storage.settings.get('restored')) === null) context.paused = null
    context.wake()
    return behind.length
  }

  return async function reread(): Promise<void> {
    if (context.stopped) return
    try {
      const jobs = await readAll()
      log.warn({ jobs }, 'a commit whose answer was lost is stored; memory was read again')
    } catch (error) {
      log.warn({ err: error }, 'memory could not be read again; tried again')
      clock.setTimeout(() => void reread(), faultPauseMs)
    }
  }
}
