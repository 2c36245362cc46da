import { system } from '../../src/audit.ts'
import type { JobRecord } from '../../src/domain/job-state.ts'
import { toJob } from '../../src/domain/job-view.ts'
import { explain } from '../../src/domain/placement/index.ts'
import type { Job, JobState } from '../../src/schemas/job.ts'
import type { Principal } from '../../src/schemas/token.ts'
import { createAccept } from './accept.ts'
import { createContext, type SchedulerOptions } from './context.ts'
import { createControl, removeFinished, summaryOf } from './control.ts'
import { createDispatch } from './dispatch.ts'
import { openBodyKey } from './idempotency.ts'
import { localNode } from './placing.ts'
import { createProgress } from './progress.ts'
import { recover } from './recover.ts'

/** How often finished jobs whose time to live is over, and old idempotency keys, are removed. */
const sweepMs = 60_000
const sweepPage = 200
/** A job that has waited this long tells its readers why. */
const tellWaitingAfterMs = 1_000
const tellWaitingAtOnce = 50

/**
 * The home of jobs: accepts them, places them, follows them to their end. The parts share one context; state in memory
 * follows commits and is rebuilt from storage at start.
 */
export async function createScheduler(options: SchedulerOptions) {
  const context = createContext(options)
  const { storage, clock, queue, runtimes, log, node } = context
  const dispatch = createDispatch(context)
  const { report, endAttempt } = createProgress(context)
  const accept = createAccept(context, await openBodyKey(storage))
  const control = createControl(context, endAttempt)
  const timers: { cancel(): void }[] = []

  function every(ms: number, name: string, work: () => Promise<void>): void {
    const slot = timers.push({ cancel: () => {} }) - 1
    const arm = () => {
      timers[slot] = clock.setTimeout(() => {
        void work()
          .catch((error: unknown) => log.warn({ err: error }, `${name} failed; it is tried again`))
          .finally(() => {
            if (!context.stopped) arm()
          })
      }, ms)
    }
    arm()
  }

  async function sweep(): Promise<void> {
    for (;;) {
      const expired = await storage.jobs.listExpired(clock.now(), sweepPage)
      let removed = 0
      await storage.write(async (tx) => {
        removed = 0
        for (const id of expired) {
          const job = await removeFinished(tx, id)
          if (job === null) continue
          removed++
          await tx.audit.append(context.audit(system, 'job.expire', id, { before: summaryOf(job) }))
        }
      })
      if (removed < sweepPage) break
    }
    await storage.write((tx) => tx.idempotency.prune(clock.now() - options.idempotencyKeptMs))
  }

  /** Why a waiting job waits, from what is known now. */
  function whyWaiting(job: JobRecord): { reason: string; message: string } | null {
    const entry = queue.get(job.id)
    if (entry === undefined) return null
    if (entry.waitingFor.size > 0) {
      const [first] = entry.waitingFor
      return {
        reason: 'dependencies',
        message: `Waits for ${entry.waitingFor.size === 1 ? `job ${first}` : `${entry.waitingFor.size} jobs`} to succeed`
      }
    }
    if (entry.notBefore !== null && entry.notBefore > clock.now()) {
      return {
        reason: job.reason ?? 'backoff',
        message: `${job.message ?? 'It is tried again'} (next try at ${new Date(entry.notBefore).toISOString()})`
      }
    }
    if (context.paused !== null) return { reason: 'paused', message: context.paused }
    const placement = explain(entry, [localNode(context)], { seed: 0 })
    const reasons = placement.filtered[0]?.reasons ?? []
    if (reasons.length === 0) {
      const before = queue.position(job.id) ?? 0
      return before === 0
        ? null
        : { reason: 'queue', message: `${before} job${before === 1 ? ' stands' : 's stand'} before it` }
    }
    return {
      reason: reasons[0]!.code,
      message: `${node.name}: ${reasons.map((reason) => reason.message).join('; ')}`
    }
  }

  /** Writes the reason of jobs that wait into their log, so that a reader of the stream learns it too. */
  async function tellWaiting(): Promise<void> {
    const now = clock.now()
    let told = 0
    for (const entry of queue.ready(now)) {
      if (++told > tellWaitingAtOnce) break
      if (now - entry.createdAt < tellWaitingAfterMs) continue
      const job = await storage.jobs.find(entry.id)
      const why = job === null || job.state !== 'queued' ? null : whyWaiting(job)
      if (why === null || job!.reason === why.reason) continue
      const changed = await context.change(entry.id, { type: 'wait', ...why, placement: null })
      if (changed?.outcome.ok) context.observe.waits(why.reason)
    }
  }

  const shown = (record: JobRecord): Job => {
    const job = toJob(record)
    const why = record.state === 'queued' ? whyWaiting(record) : null
    return why === null ? job : { ...job, ...why }
  }

  return {
    ...accept,
    cancel: control.cancel,
    evict: control.evict,
    purge: control.purge,
    listPods: control.listPods,
    drain: control.drain,
    undrain: control.undrain,

    /** The job, with why it waits where it does. Throws `job-not-found`. */
    async get(id: string, principal: Principal): Promise<Job> {
      return shown(await context.require(id, principal))
    },

    async list(
      filter: {
        states?: readonly JobState[]
        labels?: Record<string, string>
        name?: string
        tenant?: string
        limit: number
        cursor?: string
      },
      principal: Principal
    ) {
      const tenant = principal.scopes.has('admin') ? filter.tenant : principal.tenant
      const { tenant: _, ...rest } = filter
      const page = await storage.jobs.list({ ...rest, ...(tenant === undefined ? {} : { tenant }) })
      return { items: page.items.map(shown), cursor: page.cursor }
    },

    /** The queue in order, for people. */
    queue(principal: Principal, limit: number) {
      const items: {
        position: number
        jobId: string
        priority: number
        tenant: string
        waitingFor: string[]
        notBefore: string | null
      }[] = []
      let position = 0
      for (const entry of queue.all()) {
        if (entry.tenant === principal.tenant || principal.scopes.has('admin')) {
          items.push({
            position,
            jobId: entry.id,
            priority: entry.priority,
            tenant: entry.tenant,
            waitingFor: [...entry.waitingFor],
            notBefore: entry.notBefore === null ? null : new Date(entry.notBefore).toISOString()
          })
        }
        position++
        if (items.length >= limit) break
      }
      return items
    },

    status() {
      const oldest = queue.oldestCreatedAt()
      return {
        draining: context.draining,
        paused: context.paused,
        running: context.live.size,
        queued: queue.size,
        oldestSeconds: oldest === null ? 0 : Math.max(0, (clock.now() - oldest) / 1000)
      }
    },

    /** Opens the runtimes and takes up what was there before. Jobs are placed from here on. */
    async start(): Promise<void> {
      for (const runtime of runtimes.list()) await runtime.open(report)
      const found = await recover(context, dispatch.hand, endAttempt)
      if (found.queued + found.adopted > 0) log.info(found, 'took up the jobs of the last run')
      every(sweepMs, 'the removal of old jobs', sweep)
      every(tellWaitingAfterMs, 'telling why jobs wait', tellWaiting)
      context.wake()
    },

    /** No attempt is started from here on; what runs goes on. */
    stop(): void {
      context.stopped = true
      dispatch.stop()
      for (const timer of timers) timer.cancel()
      for (const held of context.live.values()) held.deadline?.cancel()
    },

    /**
     * Ends every live attempt and waits for its end, for `--stop-jobs`; nothing is placed from here on. The jobs go back
     * into the queue. Call it before the app is closed: closing waits ten seconds at most.
     */
    async stopJobs(graceSeconds: number): Promise<void> {
      context.stopped = true
      const ids = [...context.live.keys()]
      for (const id of ids) {
        await context.change(id, {
          type: 'evict',
          reason: 'The service was stopped with --stop-jobs',
          requeue: true,
          graceSeconds
        })
        await endAttempt(id)
      }
      const deadline = clock.now() + (graceSeconds + 5) * 1000
      while (ids.some((id) => context.live.has(id)) && clock.now() < deadline)
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 50))
    }
  }
}

export type Scheduler = Awaited<ReturnType<typeof createScheduler>>
