import fc from 'fast-check'
import type { JobFilter, Storage } from '../../src/contracts/storage.ts'
import { UniqueViolation } from '../../src/errors.ts'
import { jobStates, type JobState } from '../../src/schemas/job.ts'
import {
  type StorageCases,
  at,
  insert,
  isCode,
  jobOf,
  logFrame,
  rejects,
  spec,
  attemptOf
} from './storage-samples.ts'

export const jobCases: StorageCases = {
  'a job comes back as it was stored, with everything set and with nothing': async (t, storage) => {
    const bare = jobOf()
    const full = jobOf({
      name: 'build',
      state: 'failed',
      reason: 'exit-nonzero',
      message: 'It exited with 3 – “schade”',
      node: 'n1',
      spec: {
        ...spec,
        name: 'build',
        labels: { team: 'a', 'roost.dev/x': '1' },
        dependsOn: [bare.id],
        env: { A: '\u0001"\\é' }
      },
      attempts: [
        {
          number: 1,
          state: 'lost',
          node: 'n1',
          runtime: 'process',
          pod: 'roost-x-1',
          exitCode: null,
          signal: 'SIGKILL',
          reason: 'node-lost',
          startedAt: at,
          finishedAt: at + 1,
          cursor: '{"o":7}',
          gpus: [0, 3],
          deadlineAt: at + 9,
          preemptedBy: bare.id
        },
        {
          number: 2,
          state: 'failed',
          node: 'n2',
          runtime: 'kubernetes',
          pod: null,
          exitCode: 3,
          signal: null,
          reason: null,
          startedAt: null,
          finishedAt: null,
          cursor: null,
          gpus: [],
          deadlineAt: null,
          preemptedBy: null
        }
      ],
      placement: {
        choice: 'n1',
        candidates: [],
        filtered: [{ node: 'n2', name: 'b', reasons: [{ code: 'no-slot', message: 'm', permanent: false }] }]
      },
      result: { exitCode: 3, output: { deep: [1, null, 'x'] } },
      startedAt: at + 1,
      finishedAt: at + 2,
      notBefore: at + 3,
      submittedBy: 'tok_1',
      submittedByName: 'ci-1',
      intent: { kind: 'evict', reason: 'r', requeue: true, graceSeconds: 5 }
    })
    await insert(storage, bare, full)
    t.strictSame(await storage.jobs.find(bare.id), bare)
    t.strictSame(await storage.jobs.find(full.id), full)
    t.equal(await storage.jobs.find('01'), null)
  },

  'an id is taken once': async (t, storage) => {
    const job = jobOf()
    await insert(storage, job)
    await rejects(
      t,
      insert(storage, jobOf({ id: job.id })),
      (error) => error instanceof UniqueViolation,
      'UniqueViolation'
    )
  },

  'update writes what may change, adds and changes attempts, and leaves lastSeq to the log': async (
    t,
    storage
  ) => {
    const job = jobOf()
    await insert(storage, job)
    await storage.write((tx) => tx.events.append(job.id, [logFrame('a'), logFrame('b')]))
    const attempt = {
      number: 1,
      state: 'running' as const,
      node: 'n',
      runtime: 'process',
      pod: 'p',
      exitCode: null,
      signal: null,
      reason: null,
      startedAt: at,
      finishedAt: null,
      cursor: null,
      gpus: [1],
      deadlineAt: at,
      preemptedBy: null
    }
    const running = {
      ...job,
      state: 'running' as const,
      node: 'n',
      startedAt: at,
      attempts: [attempt],
      intent: { kind: 'cancel' as const, reason: 'r', requeue: false, graceSeconds: 1 },
      lastSeq: 77
    }
    await storage.write((tx) => tx.jobs.update(running))
    t.strictSame(await storage.jobs.find(job.id), { ...running, lastSeq: 2 })
    const ended = {
      ...running,
      state: 'succeeded' as const,
      finishedAt: at,
      intent: null,
      result: { exitCode: 0, output: null },
      attempts: [
        { ...attempt, state: 'succeeded' as const, exitCode: 0, cursor: 'c' },
        { ...attempt, number: 2 }
      ]
    }
    await storage.write((tx) => tx.jobs.update(ended))
    t.strictSame(await storage.jobs.find(job.id), { ...ended, lastSeq: 2 })
    await rejects(
      t,
      storage.write((tx) => tx.jobs.update(jobOf())),
      isCode('job-not-found'),
      'an unknown job'
    )
  },

  'saveCursor keeps the place of one attempt': async (t, storage) => {
    const attempt = attemptOf({ number: 1 })
    const job = jobOf({ state: 'running', attempts: [attempt, { ...attempt, number: 2 }] })
    await insert(storage, job)
    await storage.write((tx) => tx.jobs.saveCursor(job.id, 2, 'here', 0))
    t.strictSame(
      (await storage.jobs.find(job.id))?.attempts.map(({ cursor }) => cursor),
      [null, 'here']
    )
    await rejects(
      t,
      storage.write((tx) => tx.jobs.saveCursor(job.id, 3, 'x', 0)),
      isCode('job-not-found'),
      'an unknown attempt'
    )
  },

  'logUsage sums what logs keep by token, until their jobs are removed': async (t, storage) => {
    const attempt = attemptOf({ number: 1 })
    const [a, b, other] = [
      jobOf({ state: 'running', attempts: [attempt, { ...attempt, number: 2 }], submittedBy: 'one' }),
      jobOf({ state: 'running', attempts: [attempt], submittedBy: 'two' }),
      jobOf({ state: 'running', attempts: [attempt], tenant: 'other' })
    ]
    await insert(storage, a, b, other)
    t.strictSame(await storage.jobs.logUsage('nobody'), [])
    await storage.write(async (tx) => {
      await tx.jobs.saveCursor(a.id, 1, 'x', 5)
      await tx.jobs.saveCursor(a.id, 1, 'y', 7)
      await tx.jobs.saveCursor(a.id, 2, 'z', 2 ** 33)
      await tx.jobs.saveCursor(b.id, 1, 'x', 3)
      await tx.jobs.saveCursor(other.id, 1, 'x', 100)
      await tx.jobs.update(a)
    })
    const usage = async () =>
      Object.fromEntries((await storage.jobs.logUsage('default')).map(({ token, bytes }) => [token, bytes]))
    t.strictSame(await usage(), { one: 12 + 2 ** 33, two: 3 })
    await storage.write((tx) => tx.jobs.remove(a.id))
    t.strictSame(await usage(), { two: 3 })
  },

  'remove takes the job, its attempts, its log and what pointed from it': async (t, storage) => {
    const first = jobOf()
    const job = jobOf({ spec: { ...spec, labels: { a: 'b' }, dependsOn: [first.id] } })
    await insert(storage, first, job)
    await storage.write((tx) => tx.events.append(job.id, [logFrame('x')]))
    await storage.write(async (tx) => {
      await tx.jobs.remove(job.id)
      await tx.jobs.remove('unknown')
    })
    t.equal(await storage.jobs.find(job.id), null)
    t.equal(await storage.events.lastSeq(job.id), null)
    t.strictSame(await storage.events.read(job.id, 1, 10, 1e6), [])
    t.strictSame(await storage.jobs.listDependents(first.id), [])
    t.strictSame((await storage.jobs.list({ limit: 10, labels: { a: 'b' } })).items, [])
    await insert(storage, job)
    t.strictSame(await storage.jobs.find(job.id), job, 'nothing of it is left in the way')
  },

  'names, states and dependents look at one tenant and at unfinished jobs': async (t, storage) => {
    const done = jobOf({ name: 'web', state: 'succeeded', finishedAt: at })
    const live = jobOf({ name: 'web', state: 'running', spec: { ...spec, dependsOn: [done.id] } })
    const other = jobOf({ tenant: 'b', name: 'db' })
    await insert(storage, done, live, other)
    t.equal((await storage.jobs.findUnfinishedByName('default', 'web'))?.id, live.id)
    t.equal(await storage.jobs.findUnfinishedByName('default', 'db'), null)
    const states = await storage.jobs.states('default', [done.id, live.id, other.id, 'none'])
    t.strictSame(Object.fromEntries(states), { [done.id]: 'succeeded', [live.id]: 'running' })
    t.strictSame(await storage.jobs.listDependents(done.id), [live.id])
    await storage.write(async (tx) => {
      t.equal((await tx.jobs.findUnfinishedByName('default', 'web'))?.id, live.id)
      await tx.jobs.update({ ...live, state: 'cancelled', finishedAt: at })
      t.equal(await tx.jobs.findUnfinishedByName('default', 'web'), null, 'a work sees its own writes')
      t.strictSame(await tx.jobs.listDependents(done.id), [])
    })
    t.equal(await storage.jobs.findUnfinishedByName('default', 'web'), null)
  },

  'expired jobs are those finished for longer than their time to live': async (t, storage) => {
    const short = jobOf({ state: 'failed', finishedAt: at, spec: { ...spec, ttlSecondsAfterFinished: 10 } })
    const usual = jobOf({ state: 'failed', finishedAt: at })
    const live = jobOf({ state: 'running' })
    await insert(storage, short, usual, live)
    t.strictSame(await storage.jobs.listExpired(at + 9_999, 10), [])
    t.strictSame(await storage.jobs.listExpired(at + 10_000, 10), [short.id])
    t.strictSame(await storage.jobs.listExpired(at + 604_800_000, 10), [short.id, usual.id])
    t.strictSame(await storage.jobs.listExpired(at + 604_800_000, 1), [short.id])
  }
}

export const listCases: StorageCases = {
  'lists, their pages and the counts agree with a plain filter': async (t, storage) => {
    const jobs = Array.from({ length: 120 }, (_, i) =>
      jobOf({
        tenant: i % 3 === 0 ? 'b' : 'default',
        state: jobStates[i % jobStates.length]!,
        name: i % 4 === 0 ? 'web' : null,
        spec: { ...spec, labels: { team: i % 2 === 0 ? 'x' : 'y', ...(i % 5 === 0 ? { rare: 'yes' } : {}) } }
      })
    )
    await insert(storage, ...jobs)
    const filters = fc.record(
      {
        tenant: fc.constantFrom('default', 'b', 'none'),
        states: fc.subarray([...jobStates], { minLength: 1 }),
        name: fc.constant('web'),
        labels: fc.constantFrom({ team: 'x' }, { team: 'y', rare: 'yes' }, { none: '1' }),
        limit: fc.integer({ min: 1, max: 60 })
      },
      { requiredKeys: ['limit'] }
    )
    await fc.assert(
      fc.asyncProperty(filters, async (filter: JobFilter) => {
        const expected = jobs
          .filter(
            (job) =>
              (filter.tenant === undefined || job.tenant === filter.tenant) &&
              (filter.states?.includes(job.state) ?? true) &&
              (filter.name === undefined || job.name === filter.name) &&
              Object.entries(filter.labels ?? {}).every(([key, value]) => job.spec.labels?.[key] === value)
          )
          .map(({ id }) => id)
          .sort()
          .reverse()
        const seen: string[] = []
        let cursor: string | null = null
        do {
          const page: Awaited<ReturnType<Storage['jobs']['list']>> = await storage.jobs.list({
            ...filter,
            ...(cursor === null ? {} : { cursor })
          })
          if (page.items.length > filter.limit) return false
          seen.push(...page.items.map(({ id }) => id))
          cursor = page.cursor
        } while (cursor !== null)
        return JSON.stringify(seen) === JSON.stringify(expected)
      }),
      { numRuns: 60 }
    )
    const counts = await storage.jobs.countByState()
    t.strictSame(
      counts,
      Object.fromEntries(jobStates.map((state) => [state, jobs.filter((job) => job.state === state).length]))
    )
  },

  'a page ends by its bytes too, with at least one job, and the cursor leads on': async (t, storage) => {
    const mib = 'x'.repeat(2 ** 20)
    const large = (state: JobState) => jobOf({ state, spec: { ...spec, env: { A: mib, B: mib, C: mib } } })
    const jobs = [
      jobOf(),
      jobOf({ result: { exitCode: 0, output: mib.repeat(2) }, state: 'succeeded', finishedAt: at }),
      large('queued'),
      large('running'),
      jobOf({ spec: { ...spec, env: { A: mib.repeat(6) } } }),
      jobOf(),
      jobOf()
    ].reverse()
    await insert(storage, ...jobs.toReversed())
    for (const filter of [{}, { tenant: 'default' }, { labels: {} }]) {
      const pages: string[][] = []
      let cursor: string | null = null
      do {
        const page: Awaited<ReturnType<Storage['jobs']['list']>> = await storage.jobs.list({
          ...filter,
          limit: 100,
          ...(cursor === null ? {} : { cursor })
        })
        pages.push(page.items.map(({ id }) => id))
        cursor = page.cursor
      } while (cursor !== null)
      t.strictSame(
        pages.map(({ length }) => length),
        [2, 1, 1, 1, 2]
      )
      t.strictSame(
        pages.flat(),
        jobs.map(({ id }) => id)
      )
    }
  },

  'unfinished jobs come oldest first, in pages': async (t, storage) => {
    const jobs = Array.from({ length: 25 }, (_, i) => jobOf({ state: jobStates[i % jobStates.length]! }))
    await insert(storage, ...jobs)
    const expected = jobs
      .filter(({ state }) => ['queued', 'scheduled', 'running'].includes(state))
      .map(({ id }) => id)
    const seen: string[] = []
    for (;;) {
      const page = await storage.jobs.listUnfinished(seen.at(-1) ?? null, 4)
      if (page.length === 0) break
      seen.push(...page.map(({ id }) => id))
    }
    t.strictSame(seen, expected)
    t.strictSame(await storage.jobs.countByState().then(({ queued }) => queued), 5)
  }
}
