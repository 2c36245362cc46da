import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { LoggedFrame } from '../src/schemas/frame.ts'
import type { Job } from '../src/schemas/job.ts'
import { send, startService, type Service } from '../test/start-service.ts'
import { createClient, type Client } from './client.ts'
import { withFolder } from './folder.ts'
import { pause } from './measure.ts'
import { gatherInputs, work, type Input } from './torture-inputs.ts'

export interface TortureOptions {
  jobs: number
  /** How often the service is killed with -9. */
  kills: number
  /** With a value, the service and its jobs stand still for so long, halfway. */
  suspendMs?: number
  /** postgres://…, an empty database or schema; default: SQLite. */
  databaseUrl?: string
  /** Told of what happens, for a person who waits. */
  onEvent?: (line: string) => void
}

export interface TortureReport {
  jobs: number
  kills: number
  /** Everything that was lost, doubled or wrong; empty is the goal. */
  faults: string[]
  frames: number
  /** Jobs whose attempt was under way at some kill. */
  ranThroughKill: number
  /** Submits that got no answer and were sent again with the same key; those of them whose job was there already. */
  resubmits: number
  replayed: number
  /** Streams that broke and went on behind their last frame. */
  resumes: number
  /** Milliseconds from the exec to the ready line, for each restart. */
  restartMs: number[]
  seconds: number
}

/** A kill comes up to so long after its event. */
const jitterMs = 5
const submitters = 8
const readersAtOnce = 32
/** A client that meets a service that is away tries again after this, twice as long each time, up to the longest. */
const retryMs = { first: 10, longest: 160 }
const backOff = (tries: number): Promise<void> =>
  pause(Math.min(retryMs.longest, retryMs.first * 2 ** Math.min(tries - 1, 10)))

/** A batch of real jobs while the service is killed again and again; reads everything back and says what is wrong. */
export const torture = (options: TortureOptions): Promise<TortureReport> =>
  withFolder('torture', async (folder) => {
    const { jobs: count, kills, databaseUrl, onEvent = () => {} } = options
    const inputs = await gatherInputs(join(folder, 'inputs'), count)
    const journal = join(folder, 'journal')
    const service = await startService({
      dataDir: folder,
      env: {
        ROOST_PROCESS: 'on',
        ...(databaseUrl === undefined ? {} : { ROOST_DATABASE_URL: databaseUrl })
      }
    })
    try {
      const startedAt = performance.now()
      const client = createClient(service, submitters)
      const run = createRun(service, client, inputs, journal)
      const trouble = makeTrouble(service, run, options)
      await Promise.all([run.submitAll(), trouble.done, run.finished])
      const seconds = (performance.now() - startedAt) / 1000
      onEvent(
        `${count} jobs have finished after ${seconds.toFixed(1)} s and ${kills} kills; reading everything back`
      )
      const jobs = await client.listJobs()
      const faults = [...run.faults, ...(await check(client, jobs, inputs, run.live, journal))]
      client.close()
      const ranThroughKill = jobs.filter(({ startedAt: from, finishedAt: to }) =>
        trouble.killedAt.some(
          (at) => from !== null && Date.parse(from) < at && to !== null && Date.parse(to) > at
        )
      )
      return {
        jobs: count,
        kills,
        faults,
        frames: [...run.live.values()].reduce((sum, { frames }) => sum + frames.length, 0),
        ranThroughKill: ranThroughKill.length,
        resubmits: run.counts.resubmits,
        replayed: run.counts.replayed,
        resumes: run.counts.resumes,
        restartMs: trouble.restartMs,
        seconds
      }
    } finally {
      await service.end()
    }
  })

/** The same for every try: key and body. */
function toRequest(index: number, input: Input, journal: string) {
  return {
    headers: { 'idempotency-key': `torture-${index}` },
    body: {
      name: `file-${index}`,
      // A line of an id is one write, and the shell opens the journal to append.
      task: {
        type: 'process',
        command: ['sh', '-c', `echo "$ROOST_JOB_ID" >>"$2"; ${work}`, 'torture', input.file, journal]
      },
      retry: { maxAttempts: 1 }
    }
  }
}

/** What was seen live of a job, across all breaks. */
interface Live {
  id: string
  input: Input
  frames: LoggedFrame[]
}

type Happening = 'sent' | 'accepted' | 'started' | 'printed' | 'finished'

function createRun(service: Service, client: Client, inputs: readonly Input[], journal: string) {
  const live = new Map<string, Live>()
  const faults: string[] = []
  const counts = { resubmits: 0, replayed: 0, resumes: 0 }
  const tallies: Record<Happening, number> = { sent: 0, accepted: 0, started: 0, printed: 0, finished: 0 }
  const waiting = new Set<{ what: Happening; count: number; resolve: () => void }>()
  let resolveFinished: () => void = () => {}
  const finished = new Promise<void>((resolve) => (resolveFinished = resolve))
  // Few enough at a time that kills meet submits, queued jobs, running ones and finished ones alike.
  const ahead = Math.max(20, Math.ceil(inputs.length / 8))

  function note(what: Happening): void {
    tallies[what]++
    const isOver = tallies.finished === inputs.length
    for (const waiter of waiting) {
      // What has not happened by the end never will.
      if (tallies[waiter.what] < waiter.count && !isOver) continue
      waiting.delete(waiter)
      waiter.resolve()
    }
    if (isOver) resolveFinished()
  }

  /** Resolves when `what` has happened so often. */
  const reached = (what: Happening, count: number): Promise<void> =>
    tallies[what] >= count
      ? Promise.resolve()
      : new Promise((resolve) => waiting.add({ what, count, resolve }))

  async function submitAll(): Promise<void> {
    let next = 0
    await Promise.all(
      Array.from({ length: submitters }, async () => {
        for (let index = next++; index < inputs.length; index = next++) {
          await reached('finished', index - ahead)
          await submit(index)
        }
      })
    )
  }

  async function submit(index: number): Promise<void> {
    const input = inputs[index]
    if (input === undefined) return
    for (let tries = 0; ; tries++) {
      if (tries === 1) counts.resubmits++
      if (tries > 0) await backOff(tries)
      const answering = client
        .request('POST', '/schedule', toRequest(index, input, journal))
        .catch(() => null)
      if (tries === 0) note('sent')
      const answer = await answering
      if (answer === null || answer.status === 503) continue
      if (answer.status !== 202) throw new Error(`POST /schedule answered ${answer.status}: ${answer.text}`)
      if (answer.headers['idempotency-replayed'] === 'true') counts.replayed++
      const { id } = answer.json<Job>()
      if (live.has(id)) faults.push(`${id}: two keys, one job`)
      const seen: Live = { id, input, frames: [] }
      live.set(id, seen)
      note('accepted')
      follow(seen).catch((error: unknown) => {
        faults.push(`${id}: its stream failed: ${String(error)}`)
        note('finished')
      })
      return
    }
  }

  /** Reads a job's stream live; where it breaks, goes on behind the last frame. */
  async function follow(seen: Live): Promise<void> {
    for (let tries = 0; ;) {
      let lastSeq = seen.frames.length
      const { socket, closed } = client.openStream(seen.id, lastSeq + 1, (frame) => {
        if (frame.type === 'heartbeat') return
        if (frame.seq !== ++lastSeq)
          faults.push(`${seen.id}: frame ${frame.seq} came where ${lastSeq} was due`)
        seen.frames.push(frame)
        if (frame.type === 'status' && frame.state === 'running') note('started')
        if (frame.type === 'log') note('printed')
      })
      if (tries > 0) {
        socket.once('open', () => {
          counts.resumes++
          tries = 0
        })
      }
      const code = await closed
      if (code === 1000) break
      // 1006: cut off; 1001: the service is going.
      if (code !== 1006 && code !== 1001) throw new Error(`closed with ${code}`)
      await backOff(++tries)
    }
    note('finished')
  }

  return { live, faults, counts, reached, submitAll, finished }
}

type Run = ReturnType<typeof createRun>

/**
 * The kills: each a few milliseconds after an event of the run (a submit is on its way, a job is accepted, started, has
 * printed, has finished), so that no two meet the service at the same work. `done` resolves after the last one.
 */
function makeTrouble(
  service: Service,
  run: Run,
  { jobs, kills, suspendMs, onEvent = () => {} }: TortureOptions
) {
  const restartMs: number[] = []
  /** Wall time, ms since the epoch. */
  const killedAt: number[] = []
  const happenings: readonly Happening[] = ['finished', 'sent', 'printed', 'started', 'accepted']

  async function killAll(): Promise<void> {
    for (let kill = 0; kill < kills; kill++) {
      const what = happenings[kill % happenings.length] ?? 'finished'
      const at = Math.ceil((jobs * (kill + 1)) / (kills + 2))
      await run.reached(what, at)
      await pause(Math.random() * jitterMs)
      killedAt.push(Date.now())
      await service.kill('SIGKILL')
      await restart(service)
      restartMs.push(service.readyMs)
      onEvent(`kill ${kill + 1}: at job ${at} ${what}; ready again in ${Math.round(service.readyMs)} ms`)
      if (suspendMs !== undefined && kill === Math.floor(kills / 2)) {
        await suspend(service, suspendMs)
        onEvent(`stood still for ${suspendMs} ms`)
      }
    }
  }
  return { done: killAll(), restartMs, killedAt }
}

/** Another program may have been given the port for an outgoing connection meanwhile; it does not keep it for long. */
async function restart(service: Service): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await service.restart()
      return
    } catch (error) {
      if (tries === 20 || !String(error).includes('EADDRINUSE')) throw error
      await pause(100)
    }
  }
}

/** The lid of the laptop: every process of the service and its jobs stands still for `ms`. */
export async function suspend(service: Service, ms: number): Promise<void> {
  // Twice: what was forked between the look and the signal is found by the second look, when nothing forks any more.
  const stopped = new Set<number>()
  for (let look = 0; look < 2; look++) {
    for (const pid of service.processes()) {
      stopped.add(pid)
      send(pid, 'SIGSTOP')
    }
  }
  await pause(ms)
  for (const pid of stopped) send(pid, 'SIGCONT')
}

/** Reads everything back from the service that is there now. */
async function check(
  client: Client,
  listed: readonly Job[],
  inputs: readonly Input[],
  live: ReadonlyMap<string, Live>,
  journal: string
): Promise<string[]> {
  const faults: string[] = []
  if (listed.length !== inputs.length)
    faults.push(`${listed.length} jobs are listed, ${inputs.length} were submitted`)
  const names = new Set(listed.map(({ name }) => name))
  for (const index of inputs.keys()) if (!names.has(`file-${index}`)) faults.push(`file-${index} has no job`)

  const lines = (await readFile(journal, 'utf8')).split('\n')
  if (lines.pop() !== '') faults.push('the journal ends in half a line')
  const written = new Map<string, number>()
  for (const line of lines) written.set(line, (written.get(line) ?? 0) + 1)
  for (const [line, times] of written) {
    if (!live.has(line)) faults.push(`the journal names ${JSON.stringify(line)}, which is no job of ours`)
    else if (times !== 1) faults.push(`${line}: started ${times} times`)
  }

  for (const [index, input] of inputs.entries()) {
    const answer = await client.request('POST', '/schedule', toRequest(index, input, journal))
    const job = listed.find(({ name }) => name === `file-${index}`)
    if (answer.status !== 202 || answer.headers['idempotency-replayed'] !== 'true')
      faults.push(`file-${index}: its key was forgotten (${answer.status})`)
    else if (answer.json<Job>().id !== job?.id)
      faults.push(`file-${index}: its key leads to job ${answer.json<Job>().id} instead of ${job?.id}`)
  }

  const jobs = [...listed]
  await Promise.all(
    Array.from({ length: readersAtOnce }, async () => {
      for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
        const seen = live.get(job.id)
        if (seen === undefined) faults.push(`${job.id}: nobody was told that it was accepted`)
        else
          faults.push(
            ...(await checkJob(client, job, seen, jobs.length % 2 === 0)).map(
              (fault) => `${job?.id}: ${fault}`
            )
          )
        if (!written.has(job.id)) faults.push(`${job.id}: it left no line in the journal`)
      }
    })
  )
  return faults
}

async function checkJob(client: Client, job: Job, seen: Live, bySocket: boolean): Promise<string[]> {
  const faults: string[] = []
  if (job.state !== 'succeeded') faults.push(`it has ${job.state} (${job.reason}: ${job.message})`)
  if (job.attempts.length !== 1) faults.push(`it took ${job.attempts.length} attempts`)
  const frames: LoggedFrame[] = []
  if (bySocket) {
    const code = await client.openStream(
      job.id,
      1,
      (frame) => void (frame.type === 'heartbeat' || frames.push(frame))
    ).closed
    if (code !== 1000) faults.push(`its replay closed with ${code}`)
  } else {
    frames.push(...(await client.readEvents(job.id, 1)))
  }
  const hole = frames.findIndex((frame, index) => frame.seq !== index + 1)
  if (hole !== -1) faults.push(`its replay has frame ${frames[hole]?.seq} where ${hole + 1} was due`)
  if (frames.length !== job.lastSeq)
    faults.push(`its replay has ${frames.length} frames, lastSeq is ${job.lastSeq}`)
  if (JSON.stringify(frames) !== JSON.stringify(seen.frames))
    faults.push(`its replay is not what was seen live (${frames.length} and ${seen.frames.length} frames)`)
  if (frames.at(-1)?.type !== 'result') faults.push(`its last frame is ${JSON.stringify(frames.at(-1))}`)
  const printed = frames
    .map((frame) => (frame.type === 'log' && frame.stream === 'stdout' ? frame.text : ''))
    .join('')
  if (printed !== seen.input.expected)
    faults.push(
      `it printed ${JSON.stringify(printed)}, the work done directly prints ${JSON.stringify(seen.input.expected)}`
    )
  return faults
}
