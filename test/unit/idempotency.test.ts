import t, { type Test } from 'tap'
import {
  createIdempotency,
  openBodyKey,
  type KeepKey,
  type Submitted
} from '../../plugins/scheduler/idempotency.ts'
import { openSqliteStorage } from '../../plugins/storage/sqlite/open.ts'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import { createJob } from '../../src/domain/job-state.ts'
import { toJob } from '../../src/domain/job-view.ts'
import { RoostError } from '../../src/errors.ts'
import { newId } from '../../src/ids.ts'
import type { JobSpec } from '../../src/schemas/job.ts'

const spec: JobSpec = { task: { type: 'process', command: ['true'] } }
const other: JobSpec = { task: { type: 'process', command: ['false'] } }

/** A clock whose timers fire when the test says so. */
function createManualClock() {
  const timers = new Set<() => void>()
  const clock: Clock = {
    now: () => 1_800_000_000_000,
    setTimeout: (callback) => {
      timers.add(callback)
      return { cancel: () => timers.delete(callback) }
    }
  }
  return {
    clock,
    timers,
    fire: () => {
      for (const callback of timers) callback()
    }
  }
}

async function open(t: Test, storage?: Storage) {
  const opened = storage ?? (await openSqliteStorage({ dataDir: t.testdir() }))
  t.teardown(() => opened.close())
  const time = createManualClock()
  const idempotency = createIdempotency({
    storage: opened,
    clock: time.clock,
    bodyKey: await openBodyKey(opened)
  })
  /** Accepts as the scheduler does: the job and its key in one transaction. */
  const accept = async (keep: KeepKey | null): Promise<Submitted> => {
    const { job } = createJob(newId(), 'default', spec, time.clock.now())
    await opened.write(async (tx) => {
      await tx.jobs.insert(job)
      await keep?.(tx, toJob(job), time.clock.now())
    })
    return { job: toJob(job), replayed: false }
  }
  return { storage: opened, idempotency, accept, time }
}

/** An `accept` that waits until it is told how to end. */
function held(accept: (keep: KeepKey | null) => Promise<Submitted>) {
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  let calls = 0
  return {
    get calls() {
      return calls
    },
    entered: entered.promise,
    release: gate.resolve,
    fail: gate.reject,
    accept: async (keep: KeepKey | null) => {
      calls += 1
      entered.resolve()
      await gate.promise
      return await accept(keep)
    }
  }
}

const countJobs = async (storage: Storage) => (await storage.jobs.list({ limit: 10 })).items.length
const code = (error: unknown) => (error instanceof RoostError ? error.code : String(error))

await t.test('a twin waits for the commit of the first and gets its answer', async (t) => {
  const { idempotency, accept, storage, time } = await open(t)
  const first = held(accept)
  const answer = idempotency.once('default', 'k', spec, first.accept)
  await first.entered
  const never = held(accept)
  const twins = [1, 2, 3].map(() => idempotency.once('default', 'k', spec, never.accept))
  const mismatched = idempotency.once('default', 'k', other, never.accept).catch(code)
  first.release()
  const { job, replayed } = await answer
  t.equal(replayed, false)
  for (const twin of await Promise.all(twins)) t.strictSame(twin, { job, replayed: true })
  t.equal(await mismatched, 'idempotency-mismatch')
  t.equal(never.calls, 0)
  t.equal(await countJobs(storage), 1)
  t.equal(time.timers.size, 0, 'no timer is left')
})

await t.test('a twin is told in-flight only after 5 s, and the answer is there later', async (t) => {
  const { idempotency, accept, time } = await open(t)
  const first = held(accept)
  const answer = idempotency.once('default', 'k', spec, first.accept)
  await first.entered
  const twin = idempotency.once('default', 'k', spec, accept).catch((error: unknown) => error)
  t.equal(time.timers.size, 1)
  time.fire()
  t.match(await twin, { code: 'idempotency-in-flight', statusCode: 409, headers: { 'retry-after': '5' } })
  first.release()
  const { job } = await answer
  t.strictSame(await idempotency.once('default', 'k', spec, accept), { job, replayed: true })
})

await t.test(
  'where the first is refused one of those that waited goes on, also with another body',
  async (t) => {
    const { idempotency, accept, storage } = await open(t)
    const first = held(accept)
    const refused = idempotency.once('default', 'k', spec, first.accept).catch(code)
    await first.entered
    const twins = [1, 2, 3].map(() => idempotency.once('default', 'k', other, accept))
    first.fail(new RoostError('quota-exceeded', 'no more'))
    t.equal(await refused, 'quota-exceeded')
    const answers = await Promise.all(twins)
    t.equal(answers.filter(({ replayed }) => !replayed).length, 1)
    t.equal(new Set(answers.map(({ job }) => job.id)).size, 1)
    t.equal(await countJobs(storage), 1)
  }
)

await t.test(
  'a refusal is not kept, a key is one tenant’s, and the body is kept only as a keyed hash',
  async (t) => {
    const { idempotency, accept, storage } = await open(t)
    const refuse = async () => {
      throw new RoostError('draining', 'later')
    }
    await t.rejects(idempotency.once('a', 'k', spec, refuse), { code: 'draining' })
    const one = await idempotency.once('a', 'k', spec, accept)
    const two = await idempotency.once('b', 'k', other, accept)
    t.not(one.job.id, two.job.id)
    t.equal(two.replayed, false)
    await t.rejects(idempotency.once('a', 'k', other, accept), {
      code: 'idempotency-mismatch',
      statusCode: 422
    })
    const again = await idempotency.once('a', 'k', { task: { command: ['true'], type: 'process' } }, accept)
    t.equal(again.job.id, one.job.id, 'the order of members is no other body')
    const stored = await storage.idempotency.find('a', 'k')
    t.match(stored?.bodyHash, /^[0-9a-f]{64}$/)
    const strangers = createIdempotency({
      storage,
      clock: createManualClock().clock,
      bodyKey: Buffer.alloc(32)
    })
    await t.rejects(
      strangers.once('a', 'k', spec, accept),
      { code: 'idempotency-mismatch' },
      'by another key'
    )
  }
)

await t.test('who loses the race for a key replays the winner, and keeps no job of its own', async (t) => {
  const dataDir = t.testdir()
  const storage = await openSqliteStorage({ dataDir })
  // A fake for a fault that one process cannot show: the key is stored by another between the look and the insert.
  let blind = true
  const racing: Storage = {
    ...storage,
    idempotency: {
      find: async (tenant, key) => {
        if (!blind) return await storage.idempotency.find(tenant, key)
        blind = false
        return null
      }
    }
  }
  const { idempotency, accept } = await open(t, racing)
  const winner = { tenant: 'default', key: 'k', jobId: 'j', createdAt: 1, response: '{"id":"j"}' }
  blind = false
  const { bodyHash } = await idempotency
    .once('default', 'probe', spec, accept)
    .then(async () => (await storage.idempotency.find('default', 'probe'))!)
  await storage.write((tx) => tx.idempotency.insert({ ...winner, bodyHash }))
  const before = await countJobs(storage)
  blind = true
  t.strictSame(await idempotency.once('default', 'k', spec, accept), { job: { id: 'j' }, replayed: true })
  blind = true
  await t.rejects(idempotency.once('default', 'k', other, accept), { code: 'idempotency-mismatch' })
  t.equal(await countJobs(storage), before)
})
