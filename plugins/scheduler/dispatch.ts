import type { AttemptOrder } from '../../src/contracts/runtime.ts'
import type { Rules } from '../../src/domain/policy.ts'
import { RoostError } from '../../src/errors.ts'
import { parseCpu, parseMemory } from '../../src/domain/quantity.ts'
import { attemptName, currentAttempt, type JobRecord } from '../../src/domain/job-state.ts'
import { maskFault, redact } from '../../src/redact.ts'
import { choose, explain } from '../../src/domain/placement/index.ts'
import { fits, toAmounts } from '../../src/domain/queue/amounts.ts'
import { pass } from '../../src/domain/queue/pass.ts'
import type { WaitingJob } from '../../src/domain/queue/waiting.ts'
import type { Placement } from '../../src/schemas/placement.ts'
import type { SchedulerContext } from './context.ts'
import { localNode, requestsOf, toRunningEntry } from './placing.ts'
import { createPreempt } from './preempt.ts'

/** After a fault of the storage the queue is looked at again this much later. */
const faultPauseMs = 1_000
/** The watchdog beside the job is the second line: it waits this much longer than the service does. */
const watchdogSlackMs = 3_000

/** A job taken from the queue, with what was reserved for it and why it goes there. */
interface Taken {
  entry: WaitingJob
  gpus: number[]
  placement: Placement
}

/** Takes jobs from the queue while there is room, commits each placing, then hands it to its runtime. */
export function createDispatch(context: SchedulerContext, endAttempt: (id: string) => Promise<void>) {
  const { queue, running, policies, capacity, clock, log, runtimes } = context
  const preempt = createPreempt(context, endAttempt)
  let scheduled = false
  let timer: { cancel(): void } | null = null

  context.wake = (arrived) => {
    if (scheduled || context.stopped) return
    if (arrived !== undefined && changesNothing(arrived)) return
    scheduled = true
    // Once a turn: a commit of a hundred jobs is one look at the queue.
    setImmediate(() => {
      scheduled = false
      if (!context.stopped) look()
    })
  }

  /** While a job waits for room, a new one that has no room either and is not its tenant's first has to wait too. */
  function changesNothing(arrived: WaitingJob): boolean {
    return (
      context.reservation !== null &&
      !queue.isFirstOfTenant(arrived) &&
      !fits(arrived.needs, toAmounts(capacity.free()))
    )
  }

  function look(): void {
    if (context.paused !== null || context.draining) return
    const now = clock.now()
    const node = localNode(context)
    const taken: Taken[] = []
    const {
      reservation,
      preempt: wish,
      lookAgainAt
    } = pass({
      waiting: queue,
      running,
      rulesFor: policies.rulesFor,
      total: toAmounts(node.allocatable),
      free: toAmounts(node.free),
      now,
      suits(entry) {
        node.free = node.allocatable
        return choose(entry, [node], { seed: 0 }) !== null
      },
      start(entry) {
        node.free = capacity.free()
        const placement = explain(entry, [node], { seed: 0 })
        const reserved = placement.choice === null ? null : capacity.reserve(entry.id, entry.resources)
        if (reserved === null) return false
        queue.remove(entry.id)
        context.placing.add(entry.id)
        running.put(toRunningEntry(entry, now))
        taken.push({ entry, gpus: reserved.gpus, placement })
        return true
      }
    })
    context.reservation = reservation
    for (const each of taken) void begin(each)
    if (wish !== null) void preempt(wish.job, wish.victims)
    const due = Math.min(queue.nextDue() ?? Infinity, lookAgainAt ?? Infinity)
    timer?.cancel()
    timer = due === Infinity ? null : clock.setTimeout(() => context.wake(), due - now)
  }

  async function begin({ entry, gpus, placement }: Taken): Promise<void> {
    const began = clock.now()
    const runtime = runtimes.forTask(entry.taskType)
    let job: JobRecord | null
    try {
      const changed = await context.change(entry.id, {
        type: 'place',
        node: context.node.id,
        runtime: runtime?.name ?? '',
        gpus,
        placement
      })
      job = changed?.outcome.ok ? changed.job : null
    } catch (error) {
      log.warn(
        { err: error, jobId: entry.id, tenant: entry.tenant },
        'placing was not stored; it is tried again'
      )
      context.placing.delete(entry.id)
      capacity.release(entry.id)
      running.remove(entry.id)
      queue.add(entry)
      clock.setTimeout(() => context.wake(), faultPauseMs)
      return
    }
    context.placing.delete(entry.id)
    if (job === null) {
      // Cancelled or removed between the look and the commit; or placed by an earlier commit whose answer was lost.
      if (!context.live.has(entry.id)) {
        capacity.release(entry.id)
        running.remove(entry.id)
      }
      context.wake()
      return
    }
    const attempt = currentAttempt(job)
    const held = context.live.get(job.id)
    if (attempt !== null) {
      context.observe.placed(attempt)
      if (held !== undefined) held.trace = context.observe.traces.placed(job, attempt, began)
    }
    await hand(job, 'start')
  }

  /** Gives the current attempt to its runtime, to start it or to find it again after a restart. */
  async function hand(job: JobRecord, how: 'start' | 'adopt'): Promise<void> {
    const live = context.live.get(job.id)
    const attempt = currentAttempt(job)
    if (live === undefined || attempt === null || live.number !== attempt.number) return
    const fail = (code: string, message: string, retriable: boolean) =>
      context.change(job.id, {
        type: 'start-failed',
        attempt: attempt.number,
        at: clock.now(),
        code,
        message,
        retriable
      })
    let given: string[] = []
    try {
      if (live.runtime === null) {
        await context.change(job.id, {
          type: 'unknown',
          attempt: attempt.number,
          message: `The runtime "${attempt.runtime}" is not switched on here now; its attempt is found again when it is`
        })
        return
      }
      const rules = context.policies.rulesFor(job.tenant, job.submittedBy, job.submittedByName)
      const secrets = await context.secrets.resolve(job.tenant, job.spec.secrets ?? {})
      if ('env' in secrets) given = Object.values(secrets.env)
      if ('missing' in secrets && how === 'start') {
        await fail(
          'secret-missing',
          `No secret is named ${secrets.missing.map((name) => `"${name}"`).join(', ')}; make it with: roost secret set NAME`,
          false
        )
        return
      }
      if (rules.users.size > 1 && how === 'start') {
        await fail(
          'user-ambiguous',
          `Policies name several accounts for process jobs of tenant "${job.tenant}": ${[...rules.users.keys()].join(', ')}; only one can be`,
          false
        )
        return
      }
      if (live.intent !== null && how === 'start') {
        await fail('not-started', 'It was ended before it began', true)
        return
      }
      if (context.logUsage.isBounded(rules)) await context.logUsage.load(job.tenant)
      live.handed = true
      // After a restart: the same span once more.
      live.trace ??= context.observe.traces.open(job, attempt, attempt.startedAt ?? clock.now())
      if (how === 'start') context.observe.traces.starting(job, attempt, live.trace)
      const order = toOrder(context, job, {
        ...context.observe.traces.environmentOf(live.trace),
        ...('env' in secrets ? secrets.env : {})
      })
      // Without its secrets an attempt may be found again, but not be started.
      if ('missing' in secrets) order.startedAt ??= clock.now()
      await (how === 'start' ? live.runtime.start(order) : live.runtime.adopt(order))
      // Asked to stop while the start was under way: the runtime has its name only now.
      if (live.intent !== null) await live.runtime.stop(live.name, live.intent.graceSeconds)
    } catch (error) {
      const ids = { jobId: job.id, attempt: attempt.number, tenant: job.tenant }
      // A runtime's own words; it has the secrets of the job.
      const fault = given.length === 0 ? error : maskFault(error, given)
      log.error({ err: fault, ...ids }, `the attempt could not be ${how}ed`)
      try {
        // A runtime whose start rejects has begun nothing; of an adoption that says nothing.
        if (how === 'adopt' || error instanceof RoostError) throw error
        await fail('runtime-error', redact(fault instanceof Error ? fault.message : String(fault)), true)
      } catch {
        clock.setTimeout(() => void hand(job, 'adopt'), faultPauseMs)
      }
    }
  }

  return {
    hand,
    stop(): void {
      timer?.cancel()
    }
  }
}

/** Below this the runtime drops nothing by itself: a quota that is nearly used up is kept to where output is stored. */
const leastLogCapBytes = 4096

/** Most bytes that are kept of each stream, so that what is over is dropped where it is made. */
function logCapOf({ logCapBytes, logUsage }: SchedulerContext, job: JobRecord, rules: Rules): number {
  const room = logUsage.room(rules, job.tenant, job.submittedBy)
  let cap = Math.min(logCapBytes, Math.max(leastLogCapBytes, room))
  for (const { logBytes } of rules.jobs) cap = Math.min(cap, logBytes ?? Infinity)
  return cap
}

/** The attempt as its runtime needs it. */
export function toOrder(
  context: SchedulerContext,
  job: JobRecord,
  /** Beyond the spec's own: its secrets, its trace context. */
  furtherEnv: Record<string, string>
): AttemptOrder {
  const attempt = currentAttempt(job)!
  const { spec } = job
  const rules = context.policies.rulesFor(job.tenant, job.submittedBy, job.submittedByName)
  const { cpu, memory } = spec.limits ?? {}
  return {
    name: attemptName(job.id, attempt.number),
    jobId: job.id,
    attempt: attempt.number,
    tenant: job.tenant,
    user: rules.users.keys().next().value ?? null,
    task: spec.task,
    env: { ...spec.env, ...furtherEnv },
    resources: requestsOf(spec),
    limits: {
      cpu: cpu === undefined ? null : parseCpu(cpu),
      memoryBytes: memory === undefined ? null : parseMemory(memory)
    },
    gpus: attempt.gpus,
    labels: spec.labels ?? {},
    deadlineAt: attempt.deadlineAt === null ? null : attempt.deadlineAt + watchdogSlackMs,
    logCapBytes: logCapOf(context, job, rules),
    startedAt: attempt.startedAt,
    cursor: attempt.cursor
  }
}
