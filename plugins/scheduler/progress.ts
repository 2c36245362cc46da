import { isUtf8 } from 'node:buffer'
import type { Observation } from '../../src/contracts/runtime.ts'
import type { Transaction } from '../../src/contracts/storage.ts'
import { attemptName, currentAttempt, isFinished, type JobRecord } from '../../src/domain/job-state.ts'
import type { FrameBody } from '../../src/schemas/frame.ts'
import type { LiveAttempt, SchedulerContext } from './context.ts'
import { progressOf, toQueueEntry, toRunningJob } from './placing.ts'

const faultPauseMs = 1_000

type Output = Extract<Observation, { type: 'output' | 'truncated' }>

/** What happens after a commit: memory follows, dependents move, the runtime clears up; and what runtimes report. */
export function createProgress(context: SchedulerContext) {
  const { storage, clock, queue, running, live, capacity, runtimes, log } = context

  context.settle = (job) => {
    const attempt = currentAttempt(job)
    const held = live.get(job.id)
    if (held !== undefined && (attempt === null || attempt.number !== held.number)) {
      live.delete(job.id)
      held.deadline?.cancel()
      tellEnd(job, held)
      capacity.release(job.id)
      running.remove(job.id)
      void held.runtime
        ?.remove(held.name)
        .catch((error: unknown) =>
          log.warn({ err: error, ...idsOf(held) }, 'what is left of an attempt could not be removed')
        )
    }
    if (attempt !== null) follow(job)
    if (job.state === 'queued') {
      if (!queue.get(job.id) && !context.placing.has(job.id)) queue.add(toQueueEntry(context, job, []))
    } else {
      queue.remove(job.id)
    }
    if (isFinished(job.state)) {
      context.observe.finished(job)
      if (job.spec.webhook !== undefined) context.webhooks.wake()
      void tellDependents(job)
    }
    context.wake()
  }

  function tellEnd(job: JobRecord, held: LiveAttempt): void {
    const ended = job.attempts.find((attempt) => attempt.number === held.number)
    if (ended === undefined) return
    // A short job's end may be told without its start.
    if (held.startedAt === null && ended.startedAt !== null) context.observe.started(job, ended)
    context.observe.ended(ended)
    context.observe.traces.ended(job, ended, held.trace)
  }

  /** Brings the live attempt in memory up to the committed job. */
  function follow(job: JobRecord): void {
    const attempt = currentAttempt(job)!
    let held = live.get(job.id)
    if (held !== undefined && held.startedAt === null && attempt.startedAt !== null) {
      context.observe.started(job, attempt)
      context.observe.traces.started(held.trace)
    }
    if (held === undefined) {
      held = {
        jobId: job.id,
        number: attempt.number,
        name: attemptName(job.id, attempt.number),
        tenant: job.tenant,
        runtime: runtimes.find(attempt.runtime),
        intent: null,
        handed: false,
        isDoubtful: false,
        deadline: null,
        startedAt: null,
        isSilent: attempt.cursor === null,
        trace: null
      }
      live.set(job.id, held)
      running.put(toRunningJob(job, clock.now()))
    } else {
      const known = running.get(job.id)
      if (known !== undefined) Object.assign(known, progressOf(job, clock.now(), known))
    }
    held.intent = job.intent
    held.startedAt = attempt.startedAt
    if (held.deadline === null && attempt.deadlineAt !== null && job.intent === null)
      armDeadline(job.id, attempt.number, attempt.deadlineAt)
  }

  function armDeadline(id: string, number: number, at: number): void {
    const held = live.get(id)
    if (held === undefined || held.number !== number) return
    held.deadline = clock.setTimeout(() => {
      // A long wait is cut by the clock: look again until the time has come.
      if (clock.now() < at) armDeadline(id, number, at)
      else void timeOut(id, number)
    }, at - clock.now())
  }

  async function timeOut(id: string, number: number): Promise<void> {
    try {
      const changed = await context.change(id, { type: 'time-out' })
      if (changed?.outcome.ok) await endAttempt(id)
    } catch (error) {
      log.warn({ err: error, jobId: id, attempt: number }, 'the time-out was not stored; it is tried again')
      armDeadline(id, number, clock.now() + faultPauseMs)
    }
  }

  /** Carries out a committed wish to end the attempt. */
  async function endAttempt(id: string): Promise<void> {
    const held = live.get(id)
    // Not handed over yet: the start itself finds the wish.
    if (held?.intent == null || held.runtime === null || !held.handed) return
    try {
      await held.runtime.stop(held.name, held.intent.graceSeconds)
    } catch (error) {
      log.error({ err: error, ...idsOf(held) }, 'the attempt could not be asked to end')
    }
  }

  async function tellDependents(job: JobRecord): Promise<void> {
    try {
      for (const id of await storage.jobs.listDependents(job.id)) {
        if (job.state === 'succeeded') {
          if (queue.resolve(id, job.id)) context.wake()
        } else {
          await context.change(id, { type: 'dependency-failed', dependency: job.id, state: job.state })
        }
      }
    } catch (error) {
      log.warn(
        { err: error, jobId: job.id, attempt: job.attempts.at(-1)?.number ?? null },
        'jobs that wait for this one could not be told; told again soon'
      )
      clock.setTimeout(() => void tellDependents(job), faultPauseMs)
    }
  }

  /** A runtime's word: resolves once it is stored, rejects where it is to be said again. */
  async function report(observation: Observation): Promise<void> {
    const { jobId, attempt } = observation
    const held = live.get(jobId)
    if (observation.type === 'output' || observation.type === 'truncated') {
      // The fence: output of an attempt that is no longer the current one is not the job's.
      if (held === undefined || held.number !== attempt) return
      await storeOutput(held, observation)
      return
    }
    const changed = await context.change(jobId, observation)
    if (changed?.outcome.ok === false && changed.outcome.why === 'refused') {
      log.warn(
        { jobId, attempt, observation: observation.type, detail: changed.outcome.detail },
        'an observation was refused'
      )
    }
  }

  /** Stores output, or how much of it a quota leaves no room for; counted before, so that two cannot share the last bytes. */
  async function storeOutput(held: LiveAttempt, said: Output): Promise<void> {
    const { jobId, number, tenant } = held
    const { logUsage } = context
    const { token, tokenName } = running.get(jobId) ?? { token: '', tokenName: null }
    const rules = context.policies.rulesFor(tenant, token, tokenName)
    const isCounted = logUsage.isBounded(rules)
    if (isCounted) await logUsage.load(tenant)
    const room = logUsage.room(rules, tenant, token)
    const observation = withinRoom(said, room)
    const kept = observation.type === 'output' ? observation.bytes.byteLength : 0
    const settle = isCounted ? logUsage.reserve(tenant, token, kept) : null
    try {
      const isAgain = held.isDoubtful
      held.isDoubtful = true
      await storage.write(async (tx) => {
        if (isAgain && (await isStored(tx, observation))) return
        await tx.events.append(jobId, [toLogFrame(observation)])
        await tx.jobs.saveCursor(jobId, number, observation.cursor, kept)
      })
      held.isDoubtful = false
    } catch (error) {
      settle?.(false)
      throw error
    }
    settle?.(true)
    tellOutput(held, observation)
  }

  function tellOutput(held: LiveAttempt, observation: Output): void {
    const { observe } = context
    if (held.isSilent && held.startedAt !== null) observe.firstOutput(held.startedAt, observation.at)
    held.isSilent = false
    if (observation.type === 'output') observe.printed(observation.stream, observation.bytes.byteLength)
    else observe.dropped(observation.stream, observation.bytes)
  }

  return { report, endAttempt }
}

/** What every line of the log about an attempt carries. */
const idsOf = ({ jobId, number, tenant }: LiveAttempt) => ({ jobId, attempt: number, tenant })

/** What no room is left for is dropped whole, and its size told instead. */
function withinRoom(said: Output, roomBytes: number): Output {
  if (said.type === 'truncated' || said.bytes.byteLength <= roomBytes) return said
  return { ...said, type: 'truncated', bytes: said.bytes.byteLength }
}

/** Whether output that is said again was stored after all: the answer to its commit was lost. */
async function isStored(tx: Transaction, { jobId, attempt, cursor }: Output): Promise<boolean> {
  const job = await tx.jobs.find(jobId)
  return job?.attempts.find(({ number }) => number === attempt)?.cursor === cursor
}

function toLogFrame(observation: Output): FrameBody {
  const { attempt, stream } = observation
  const time = new Date(observation.at).toISOString()
  if (observation.type === 'truncated')
    return { type: 'log', time, attempt, stream, text: '', truncated: observation.bytes }
  const bytes = Buffer.from(
    observation.bytes.buffer,
    observation.bytes.byteOffset,
    observation.bytes.byteLength
  )
  return isUtf8(bytes)
    ? { type: 'log', time, attempt, stream, text: bytes.toString('utf8') }
    : { type: 'log', time, attempt, stream, text: bytes.toString('base64'), encoding: 'base64' }
}
