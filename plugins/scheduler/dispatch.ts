import type { AttemptOrder } from '../../src/contracts/runtime.ts'
import { RoostError } from '../../src/errors.ts'
import { parseCpu, parseMemory } from '../../src/domain/quantity.ts'
import { attemptName, currentAttempt, type JobRecord } from '../../src/domain/job-state.ts'
import { redact } from '../../src/redact.ts'
import { choose, explain } from '../../src/domain/placement/index.ts'
import type { Placement } from '../../src/schemas/placement.ts'
import type { SchedulerContext } from './context.ts'
import { localNode, requestsOf } from './placing.ts'
import type { QueueEntry } from './queue.ts'

/** After a fault of the storage the queue is looked at again this much later. */
const faultPauseMs = 1_000
/** The watchdog beside the job is the second line: it waits this much longer than the service does. */
const watchdogSlackMs = 3_000
/** How far behind a job that waits for a GPU others are looked for that need none. */
const overtakeDepth = 1_000

/** A job taken from the queue, with what was reserved for it and why it goes there. */
interface Taken {
  entry: QueueEntry
  gpus: number[]
  placement: Placement
}

/** Takes jobs from the queue while there is room, commits each placing, then hands it to its runtime. */
export function createDispatch(context: SchedulerContext) {
  const { queue, capacity, clock, log, runtimes } = context
  let scheduled = false
  let timer: { cancel(): void } | null = null

  context.wake = () => {
    if (scheduled || context.stopped) return
    scheduled = true
    // Once a turn: a commit of a hundred jobs is one look at the queue.
    setImmediate(() => {
      scheduled = false
      if (!context.stopped) pass()
    })
  }

  function pass(): void {
    if (context.paused !== null || context.draining) return
    const now = clock.now()
    const node = localNode(context)
    const taken: Taken[] = []
    let blockedByGpu = false
    let looked = 0
    for (const entry of queue.ready(now)) {
      if (blockedByGpu && (entry.resources.gpu > 0 || ++looked > overtakeDepth)) {
        if (looked > overtakeDepth) break
        continue
      }
      node.free = capacity.free()
      const placement = explain(entry, [node], { seed: 0 })
      const reserved = placement.choice === null ? null : capacity.reserve(entry.id, entry.resources)
      if (reserved !== null) {
        queue.remove(entry.id)
        context.placing.add(entry.id)
        taken.push({ entry, gpus: reserved.gpus, placement })
        continue
      }
      if (!couldFit(entry)) continue
      // The head waits for room: nobody behind it may take what it waits for. Only a job that needs none of the scarce
      // thing overtakes, as it delays nobody: that is, one without GPUs behind one that lacks just GPUs.
      if (!lacksOnlyGpu(entry, node.free)) break
      blockedByGpu = true
    }
    for (const each of taken) void begin(each)
    const due = queue.nextDue(now)
    timer?.cancel()
    timer = due === null ? null : clock.setTimeout(context.wake, due - now)
  }

  /** Whether this node could take the job once it is empty; one that never fits holds nobody up. */
  function couldFit(entry: QueueEntry): boolean {
    const node = localNode(context)
    node.free = node.allocatable
    return choose(entry, [node], { seed: 0 }) !== null
  }

  function lacksOnlyGpu(
    entry: QueueEntry,
    free: { cpu: number; memoryBytes: number; gpu: number; slots: number }
  ): boolean {
    const { cpu, memoryBytes, gpu } = entry.resources
    return gpu > free.gpu && cpu <= free.cpu && memoryBytes <= free.memoryBytes && free.slots > 0
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
      log.warn({ err: error, jobId: entry.id }, 'placing was not stored; it is tried again')
      context.placing.delete(entry.id)
      capacity.release(entry.id)
      queue.add(entry)
      clock.setTimeout(context.wake, faultPauseMs)
      return
    }
    context.placing.delete(entry.id)
    if (job === null) {
      // Cancelled or removed between the look and the commit.
      capacity.release(entry.id)
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
    try {
      if (live.runtime === null) {
        await context.change(job.id, {
          type: 'unknown',
          attempt: attempt.number,
          message: `The runtime "${attempt.runtime}" is not switched on here now; its attempt is found again when it is`
        })
        return
      }
      const secrets = await context.secrets.resolve(job.tenant, job.spec.secrets ?? {})
      if ('missing' in secrets && how === 'start') {
        await fail(
          'secret-missing',
          `No secret is named ${secrets.missing.map((name) => `"${name}"`).join(', ')}; make it with: roost secret set NAME`,
          false
        )
        return
      }
      if (live.intent !== null && how === 'start') {
        await fail('not-started', 'It was ended before it began', true)
        return
      }
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
      log.error({ err: error, jobId: job.id, attempt: attempt.number }, `the attempt could not be ${how}ed`)
      try {
        // A runtime whose start rejects has begun nothing; of an adoption that says nothing.
        if (how === 'adopt' || error instanceof RoostError) throw error
        // A runtime's own words; it has the secrets of the job.
        await fail('runtime-error', redact(error instanceof Error ? error.message : String(error)), true)
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

/** The attempt as its runtime needs it. */
export function toOrder(
  context: SchedulerContext,
  job: JobRecord,
  /** Beyond the spec's own: its secrets, its trace context. */
  furtherEnv: Record<string, string>
): AttemptOrder {
  const attempt = currentAttempt(job)!
  const { spec } = job
  const { cpu, memory } = spec.limits ?? {}
  return {
    name: attemptName(job.id, attempt.number),
    jobId: job.id,
    attempt: attempt.number,
    tenant: job.tenant,
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
    logCapBytes: context.logCapBytes,
    startedAt: attempt.startedAt,
    cursor: attempt.cursor
  }
}
