import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { decide } from '../../src/domain/decide.ts'
import {
  countedAttempts,
  createJob,
  currentAttempt,
  isFinished,
  transitions,
  type JobEvent,
  type JobInput,
  type JobRecord
} from '../../src/domain/job-state.ts'
import { toJob } from '../../src/domain/job-view.ts'
import type { FrameBody } from '../../src/schemas/frame.ts'
import { sharedSchemas } from '../../src/schemas/index.ts'
import { jobStates, type JobSpec, type JobState } from '../../src/schemas/job.ts'

const table: Record<JobState, Partial<Record<JobEvent, JobState>>> = transitions
const spec = (changes: Partial<JobSpec> = {}): JobSpec => ({
  task: { type: 'process', command: ['true'] },
  ...changes
})

/** An input whose attempt is told as "the current one, so many back": older ones are negative, ones to come positive. */
type Step = (job: JobRecord) => JobInput
const attemptOf = (job: JobRecord, offset: number): number => (job.attempts.at(-1)?.number ?? 0) + offset

const offset = fc.constantFrom(0, 0, 0, 0, -1, -2, 1)
const at = fc.nat(1000)
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constant<Step>(() => ({
      type: 'place',
      node: 'n',
      runtime: 'process',
      gpus: [],
      placement: null
    }))
  },
  fc
    .record({ reason: fc.constantFrom('no-slot', 'insufficient-cpu'), message: fc.constantFrom('a', 'b') })
    .map((fields): Step => () => ({ type: 'wait', placement: null, ...fields })),
  fc.constant<Step>(() => ({ type: 'cancel', reason: 'asked', graceSeconds: 1 })),
  fc.boolean().map((requeue): Step => () => ({ type: 'evict', reason: 'room', requeue, graceSeconds: 1 })),
  offset.map((offset): Step => (job) => ({
    type: 'preempt',
    attempt: attemptOf(job, offset),
    preemptedFor: 'other',
    forTenant: 'default',
    graceSeconds: 1
  })),
  fc.constant<Step>(() => ({ type: 'time-out' })),
  fc.constantFrom<JobState>('failed', 'cancelled').map((state): Step => () => ({
    type: 'dependency-failed',
    dependency: 'other',
    state
  })),
  {
    weight: 3,
    arbitrary: fc.tuple(offset, at).map(([offset, at]): Step => (job) => ({
      type: 'started',
      attempt: attemptOf(job, offset),
      at,
      pod: null
    }))
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        offset,
        at,
        fc.constantFrom(0, 1, null),
        fc.constantFrom(null, 'SIGTERM'),
        fc.constantFrom(null, 'deadline' as const, 'stopped' as const, 'out-of-memory' as const)
      )
      .map(([offset, at, exitCode, signal, cause]): Step => (job) => ({
        type: 'exited',
        attempt: attemptOf(job, offset),
        at,
        exitCode,
        signal,
        cause
      }))
  },
  fc.tuple(offset, at, fc.boolean()).map(([offset, at, retriable]): Step => (job) => ({
    type: 'start-failed',
    attempt: attemptOf(job, offset),
    at,
    code: 'no-image',
    message: 'no image',
    retriable
  })),
  fc.tuple(offset).map(([offset]): Step => (job) => ({
    type: 'unknown',
    attempt: attemptOf(job, offset),
    message: 'silent'
  })),
  fc.tuple(offset, at).map(([offset, at]): Step => (job) => ({
    type: 'lost',
    attempt: attemptOf(job, offset),
    at,
    code: 'node-lost',
    message: 'gone'
  }))
)
const anySpec: fc.Arbitrary<JobSpec> = fc
  .record(
    {
      retry: fc.record(
        {
          maxAttempts: fc.integer({ min: 1, max: 3 }),
          on: fc.subarray(['failure', 'node-lost', 'timeout'] as const)
        },
        { requiredKeys: [] }
      ),
      onNodeLoss: fc.constantFrom('wait' as const, 'restart' as const, 'fail' as const),
      timeoutSeconds: fc.constant(60)
    },
    { requiredKeys: [] }
  )
  .map(({ retry, ...rest }) => {
    const { on, ...counts } = retry ?? {}
    return spec({
      ...rest,
      ...(retry === undefined ? {} : { retry: { ...counts, ...(on === undefined ? {} : { on: [...on] }) } })
    })
  })

interface Seen {
  before: JobRecord
  input: JobInput
  outcome: ReturnType<typeof decide>
  after: JobRecord
}

function follow(
  jobSpec: JobSpec,
  steps: readonly Step[]
): { seen: Seen[]; last: JobRecord; frames: FrameBody[] } {
  const { job, frames } = createJob('j', 'default', jobSpec, 0)
  const seen: Seen[] = []
  let last = job
  for (const [index, step] of steps.entries()) {
    const input = step(last)
    const outcome = decide(last, input, 1000 + index, 0.5)
    const after = outcome.ok ? outcome.job : last
    if (outcome.ok) frames.push(...outcome.frames)
    seen.push({ before: last, input, outcome, after })
    last = after
  }
  return { seen, last, frames }
}

/** Every law of a job's life holds for any sequence of words, early, late and doubled ones too. */
async function law(t: Test, name: string, holds: (run: ReturnType<typeof follow>) => boolean): Promise<void> {
  await t.test(name, async () => {
    fc.assert(
      fc.property(anySpec, fc.array(anyStep, { maxLength: 25 }), (jobSpec, steps) =>
        holds(follow(jobSpec, steps))
      ),
      { numRuns: 1500 }
    )
  })
}

await t.test('laws of any sequence of commands and observations', async (t) => {
  await law(t, 'every move is in the table', ({ seen }) =>
    seen.every(
      ({ before, after, outcome }) => !outcome.ok || Object.values(table[before.state]).includes(after.state)
    )
  )
  await law(t, 'a finished job never moves', ({ seen }) =>
    seen.every(({ before, outcome }) => !isFinished(before.state) || !outcome.ok)
  )
  await law(t, 'what is refused changes nothing and input is never written to', ({ seen }) =>
    seen.every(({ before, input, outcome, after }) => {
      const copy = structuredClone(before)
      decide(copy, input, 5, 0.5)
      return (outcome.ok || after === before) && JSON.stringify(copy) === JSON.stringify(before)
    })
  )
  await law(t, 'attempt numbers count up by one', ({ last }) =>
    last.attempts.every((attempt, index) => attempt.number === index + 1)
  )
  await law(
    t,
    'at most one attempt lives, it is the last, and a finished or queued job has none',
    ({ seen }) =>
      seen.every(({ after }) => {
        const live = after.attempts.filter((attempt) => attempt.finishedAt === null)
        const waits = after.state === 'queued' || isFinished(after.state)
        return (
          live.length === (waits ? 0 : 1) &&
          currentAttempt(after) === (live[0] ?? null) &&
          (live.length === 0 || live[0] === after.attempts.at(-1))
        )
      })
  )
  await law(
    t,
    'a terminal frame comes exactly once, last, and only of a finished job',
    ({ last, frames }) => {
      const terminal = frames.filter((frame) => frame.type === 'result' || frame.type === 'error')
      return (
        terminal.length === (isFinished(last.state) ? 1 : 0) &&
        (terminal.length === 0 || (frames.at(-1) === terminal[0] && terminal[0]!.state === last.state))
      )
    }
  )
  await law(t, "frames' states follow the table", ({ frames }) => {
    const states = frames.flatMap((frame) => ('state' in frame ? [frame.state] : []))
    return states.every((state, index) =>
      index === 0 ? state === 'queued' : Object.values(table[states[index - 1]!]).includes(state)
    )
  })
  await law(t, 'a word of an attempt that is not the current one is stale', ({ seen }) =>
    seen.every(
      ({ before, input, outcome }) =>
        !('attempt' in input) ||
        currentAttempt(before)?.number === input.attempt ||
        (!outcome.ok && outcome.why === 'stale')
    )
  )
  await law(
    t,
    'evicted attempts and those that never started do not count',
    ({ last }) =>
      countedAttempts(last) ===
      last.attempts.filter(
        (attempt) =>
          attempt.state !== 'evicted' && !(attempt.state === 'failed' && attempt.startedAt === null)
      ).length
  )
  await law(
    t,
    'no more attempts count than maxAttempts',
    ({ last }) => countedAttempts(last) <= (last.spec.retry?.maxAttempts ?? 1)
  )
  await law(t, 'after a cancel the end of the attempt is the end of the job', ({ seen }) =>
    seen.every(
      ({ before, after }) =>
        before.intent?.kind !== 'cancel' ||
        (currentAttempt(after) === null ? after.state === 'cancelled' : after.intent?.kind === 'cancel')
    )
  )
  await law(t, 'a wish lasts until its attempt ends, and no longer', ({ seen }) =>
    seen.every(
      ({ before, after }) =>
        (after.intent === null || currentAttempt(after) !== null) &&
        (before.intent === null || after.intent !== null || currentAttempt(after) === null)
    )
  )
  await law(t, 'a job with an unknown attempt runs', ({ seen }) =>
    seen.every(({ after }) => currentAttempt(after)?.state !== 'unknown' || after.state === 'running')
  )
  await law(t, 'only an unknown attempt gives the reason unknown', ({ seen }) =>
    seen.every(({ after }) => after.reason !== 'unknown' || currentAttempt(after)?.state === 'unknown')
  )
  await law(t, 'finished and started have their times', ({ seen }) =>
    seen.every(
      ({ after }) =>
        (after.finishedAt !== null) === isFinished(after.state) &&
        (after.state !== 'running' || after.startedAt !== null)
    )
  )
})

/** Every way through the first attempts with one input of each kind, each situation looked at once. */
function walkEverything(): { before: JobRecord; input: JobInput; outcome: ReturnType<typeof decide> }[] {
  const inputs = (job: JobRecord): JobInput[] => {
    const attempt = attemptOf(job, 0)
    return [
      { type: 'place', node: 'n', runtime: 'process', gpus: [], placement: null },
      { type: 'wait', reason: 'no-slot', message: 'm', placement: null },
      { type: 'cancel', reason: 'asked', graceSeconds: 1 },
      { type: 'evict', reason: 'room', requeue: true, graceSeconds: 1 },
      { type: 'evict', reason: 'room', requeue: false, graceSeconds: 1 },
      { type: 'preempt', attempt, preemptedFor: 'other', forTenant: 'default', graceSeconds: 1 },
      { type: 'time-out' },
      { type: 'dependency-failed', dependency: 'd', state: 'failed' },
      { type: 'started', attempt, at: 1, pod: null },
      { type: 'unknown', attempt, message: 'silent' },
      { type: 'lost', attempt, at: 1, code: 'node-lost', message: 'gone' },
      { type: 'start-failed', attempt, at: 1, code: 'c', message: 'm', retriable: true },
      { type: 'start-failed', attempt, at: 1, code: 'c', message: 'm', retriable: false },
      ...([null, 'deadline', 'stopped', 'out-of-memory'] as const).flatMap((cause) =>
        [0, 1, null].map((exitCode): JobInput => ({
          type: 'exited',
          attempt,
          at: 1,
          exitCode,
          signal: exitCode === null ? 'SIGKILL' : null,
          cause
        }))
      )
    ]
  }
  const steps: { before: JobRecord; input: JobInput; outcome: ReturnType<typeof decide> }[] = []
  const met = new Set<string>()
  for (const retry of [{}, { maxAttempts: 2 }]) {
    for (
      const left = [createJob('0123456789abcdefghjkmnpqrs', 'default', spec({ retry }), 0).job];
      left.length > 0;
    ) {
      const before = left.pop()!
      for (const input of inputs(before)) {
        const outcome = decide(before, input, 1, 0.5)
        steps.push({ before, input, outcome })
        const key = outcome.ok ? JSON.stringify(outcome.job) : ''
        if (!outcome.ok || met.has(key) || outcome.job.attempts.length > 3) continue
        met.add(key)
        left.push(outcome.job)
      }
    }
  }
  return steps
}
const everything = walkEverything()

await t.test('the walk through every situation finds no breach of a law', async (t) => {
  t.ok(everything.length > 2_000, `${everything.length} steps`)
  const breaches = everything.flatMap(({ before, input, outcome }) => {
    if (!outcome.ok) return []
    const { job } = outcome
    const live = job.attempts.filter((attempt) => attempt.finishedAt === null).length
    const broken = [
      !Object.values(table[before.state]).includes(job.state) && 'not in the table',
      live !== (job.state === 'queued' || isFinished(job.state) ? 0 : 1) &&
        'a live attempt too many or too few',
      countedAttempts(job) > (job.spec.retry?.maxAttempts ?? 1) && 'more attempts than allowed',
      job.reason === 'unknown' && currentAttempt(job)?.state !== 'unknown' && 'not unknown',
      /null|exited with 0/.test(job.message ?? '') && `says "${job.message}"`
    ].filter((one) => one !== false)
    return broken.length === 0
      ? []
      : [{ broken, input, attempts: before.attempts, intent: before.intent?.kind }]
  })
  t.same(breaches.slice(0, 3), [])
})

await t.test('every situation can be shown as the API promises', async (t) => {
  const ajv = new Ajv({
    strict: false,
    formats: { 'date-time': (text: string) => !Number.isNaN(Date.parse(text)) }
  }).addSchema(sharedSchemas)
  const validate = ajv.getSchema('Job')!
  const situations = new Set(everything.map(({ before }) => before))
  t.ok(situations.size > 1_000, `${situations.size} situations`)
  const wrong = [...situations].find((job) => !validate(toJob(job)))
  t.equal(wrong, undefined, JSON.stringify(validate.errors))
})

await t.test(
  'every arrow of the table is needed: without it some sequence of inputs ends elsewhere',
  async (t) => {
    const idle: string[] = []
    for (const state of jobStates) {
      const arrows = table[state]
      for (const [event, to] of Object.entries(arrows) as [JobEvent, JobState][]) {
        delete arrows[event]
        if (everything.every(({ before, input, outcome }) => decide(before, input, 1, 0.5).ok === outcome.ok))
          idle.push(`${state} --> ${to}: ${event}`)
        arrows[event] = to
      }
    }
    t.same(idle, [], 'arrows that nothing takes')
  }
)

await t.test('docs/job-states.md draws exactly the table', async (t) => {
  const text = readFileSync(new URL('../../docs/job-states.md', import.meta.url), 'utf8')
  const drawn = [...text.matchAll(/^ *([a-z]+) --> ([a-z]+): ([a-z-]+)$/gm)].map(
    ([, from, to, event]) => `${from} --> ${to}: ${event}`
  )
  const meant = jobStates.flatMap((state) =>
    Object.entries(table[state]).map(([event, to]) => `${state} --> ${to}: ${event}`)
  )
  t.same(drawn.toSorted(), meant.toSorted())
  t.same(
    [...text.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, event]) => String(event)).toSorted(),
    [...new Set(jobStates.flatMap((state) => Object.keys(table[state])))].toSorted(),
    'each arrow is explained'
  )
})
