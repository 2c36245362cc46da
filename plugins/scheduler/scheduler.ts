import { system } from '../../src/audit.ts'
import type { JobRecord } from '../../src/domain/job-state.ts'
import { toJob } from '../../src/domain/job-view.ts'
import type { Page } from '../../src/contracts/storage.ts'
import type { WaitingJob } from '../../src/domain/queue/waiting.ts'
import type { QueueItem, Wait } from '../../src/schemas/queue.ts'
import { createExplain } from './explain.ts'
import { newId } from '../../src/ids.ts'
import type { Job, JobSpec, JobState } from '../../src/schemas/job.ts'
import type { Placement } from '../../src/schemas/placement.ts'
import { tokenNameOf, type Principal } from '../../src/schemas/token.ts'
import { createAccept } from './accept.ts'
import { createContext, maySee, seesAll, type SchedulerOptions } from './context.ts'
import { createControl, removeFinished, summaryOf } from './control.ts'
import { createDispatch } from './dispatch.ts'
import { openBodyKey } from './idempotency.ts'
import { refreshConstraints, toQueueEntry } from './placing.ts'
import { createProgress } from './progress.ts'
import { recover } from './recover.ts'
import { createReread } from './reread.ts'

/** How often finished jobs whose time to live is over, and old idempotency keys, are removed. */
const sweepMs = 60_000
const sweepPage = 200
/** A job that has waited this long tells its readers why. */
const tellWaitingAfterMs = 1_000
const tellWaitingAtOnce = 50
/** The queue is listed up to here: the order is found anew for each page, walking from its front. */
const listedPositions = 10_000
/** Of so many jobs that may be tried a scrape of the metrics asks the reason. */
const reasonsAsked = 200

/**
 * The home of jobs: accepts them, places them, follows them to their end. The parts share one context; state in memory
 * follows commits and is rebuilt from storage at start.
 */
export async function createScheduler(options: SchedulerOptions) {
  const context = createContext(options)
  const { storage, clock, queue, runtimes, log } = context
  const { report, endAttempt } = createProgress(context)
  const dispatch = createDispatch(context, endAttempt)
  const explain = createExplain(context)
  const accept = createAccept(context, await openBodyKey(storage))
  const control = createControl(context, endAttempt)
  const timers: { cancel(): void }[] = []
  let forgetPolicies = (): void => {}

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
      if (removed > 0) context.logUsage.forget()
      if (removed < sweepPage) break
    }
    await storage.write((tx) => tx.idempotency.prune(clock.now() - options.idempotencyKeptMs))
  }

  /** Writes the reason of jobs that wait into their log, so that a reader of the stream learns it too. */
  async function tellWaiting(): Promise<void> {
    const now = clock.now()
    let told = 0
    const first: WaitingJob[] = []
    for (const entry of explain.order()) {
      if (queue.isAside(entry) || ++told > tellWaitingAtOnce) break
      if (now - entry.createdAt >= tellWaitingAfterMs) first.push(entry)
    }
    // Side by side: they share a commit.
    await Promise.all(first.map(tellOne))
  }

  async function tellOne({ id }: WaitingJob): Promise<void> {
    const job = await storage.jobs.find(id)
    const why = job === null || job.state !== 'queued' ? null : whyWaiting(job)
    if (why === null || job!.reason === why.reason) return
    const { reason, message } = why
    const changed = await context.change(id, { type: 'wait', reason, message, placement: null })
    if (changed?.outcome.ok) context.observe.waits(reason)
  }

  function whyWaiting(job: JobRecord, seesAll = false): Wait | null {
    const entry = queue.get(job.id)
    return entry === undefined ? null : explain.why(entry, job, seesAll)
  }

  const shown = (record: JobRecord, principal: Principal): Job => {
    const job = toJob(record)
    const why = record.state === 'queued' ? whyWaiting(record, seesAll(principal)) : null
    return why === null ? job : { ...job, reason: why.reason, message: why.message }
  }

  function toQueueItem(entry: WaitingJob, position: number, job: JobRecord, principal: Principal): QueueItem {
    const why = explain.why(entry, job, seesAll(principal))
    return {
      position,
      jobId: entry.id,
      name: job.name,
      tenant: entry.tenant,
      priority: entry.priority,
      effectivePriority: explain.effectivePriority(entry),
      share: explain.shareOf(entry.tenant),
      createdAt: new Date(entry.createdAt).toISOString(),
      reason: why?.reason ?? null,
      message: why?.message ?? null,
      needs: why?.needs ?? [],
      startsBy: why?.startsBy ?? null,
      waitingFor: [...entry.waitingFor],
      notBefore: entry.notBefore === null ? null : new Date(entry.notBefore).toISOString()
    }
  }

  return {
    ...accept,
    /** Where the job would go now and why, and why it would wait or be refused; stores nothing. Throws `invalid`, `policy-denied`. */
    async plan(spec: JobSpec, principal: Principal): Promise<Placement> {
      const placement = await accept.plan(spec, principal)
      const { tenant, tokenId: submittedBy } = principal
      const submittedByName = tokenNameOf(principal)
      const states = await storage.jobs.states(tenant, spec.dependsOn ?? [])
      const unfinished = [...states.keys()].filter((id) => states.get(id) !== 'succeeded')
      const now = clock.now()
      const job = {
        id: newId(now),
        tenant,
        submittedBy,
        submittedByName,
        spec,
        createdAt: now,
        notBefore: null,
        attempts: []
      }
      const isRefused = placement.refusal != null
      return {
        ...placement,
        queue: isRefused
          ? null
          : explain.whyIfAdded(toQueueEntry(context, job, unfinished), seesAll(principal))
      }
    },

    cancel: control.cancel,
    evict: control.evict,
    purge: control.purge,
    listPods: control.listPods,
    drain: control.drain,
    undrain: control.undrain,

    /** The job, with why it waits where it does. Throws `job-not-found`. */
    async get(id: string, principal: Principal): Promise<Job> {
      return shown(await context.require(id, principal), principal)
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
      const tenant = seesAll(principal) ? filter.tenant : principal.tenant
      const { tenant: _, ...rest } = filter
      const page = await storage.jobs.list({ ...rest, ...(tenant === undefined ? {} : { tenant }) })
      return { items: page.items.map((job) => shown(job, principal)), cursor: page.cursor }
    },

    /** Waiting jobs in the order of their turns, from a position on; tenants see their own. */
    async queue(principal: Principal, limit: number, from: number): Promise<Page<QueueItem>> {
      const found: { entry: WaitingJob; position: number }[] = []
      let position = 0
      let cursor: string | null = null
      for (const entry of explain.order()) {
        if (position === listedPositions) break
        if (position >= from && maySee(principal, entry)) {
          if (found.length === limit) {
            cursor = String(position)
            break
          }
          found.push({ entry, position })
        }
        position++
      }
      const items: QueueItem[] = []
      for (const { entry, position } of found) {
        const job = await storage.jobs.find(entry.id)
        // It may have started while we read.
        if (job !== null && queue.get(entry.id) === entry)
          items.push(toQueueItem(entry, position, job, principal))
      }
      return { items, cursor }
    },

    /** How many jobs wait for which reason; `behind` are those that stand behind the first of the queue. */
    waitingByReason(): Map<string, number> {
      const { dependencies, backoff } = queue.asideCounts()
      const counts = new Map<string, number>()
      const count = (reason: string, jobs = 1) => counts.set(reason, (counts.get(reason) ?? 0) + jobs)
      let asked = 0
      for (const entry of explain.order()) {
        if (queue.isAside(entry) || asked === reasonsAsked) break
        asked++
        count(explain.why(entry)?.reason ?? 'starting')
      }
      const told = { dependencies, backoff, behind: queue.size - dependencies - backoff - asked }
      for (const [reason, jobs] of Object.entries(told)) if (jobs > 0) count(reason, jobs)
      return counts
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
      const reread = createReread(context, dispatch.hand, endAttempt)
      storage.onReread(() => void reread())
      if (found.queued + found.adopted > 0) log.info(found, 'took up the jobs of the last run')
      every(sweepMs, 'the removal of old jobs', sweep)
      every(tellWaitingAfterMs, 'telling why jobs wait', tellWaiting)
      forgetPolicies = context.policies.onChange(() => {
        refreshConstraints(context)
        context.logUsage.forget()
        context.wake()
      })
      context.wake()
    },

    /** No attempt is started from here on; what runs goes on. */
    stop(): void {
      context.stopped = true
      dispatch.stop()
      forgetPolicies()
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
