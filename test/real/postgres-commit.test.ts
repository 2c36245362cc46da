// kit: postgres
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { openPostgresStorage } from '../../plugins/storage/postgres/open.ts'
import type { Waits } from '../../plugins/storage/postgres/writer.ts'
import type { Job } from '../../src/schemas/job.ts'
import type { Frame } from '../../src/schemas/frame.ts'
import { createAuth } from '../../plugins/auth/auth.ts'
import { createPages } from '../../plugins/stream/pages.ts'
import { follow } from '../../plugins/stream/follow.ts'
import { auditRecord, system } from '../../src/audit.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import { systemClock } from '../../src/contracts/clock.ts'
import { asAdmin, build, testToken } from '../build.ts'
import { insert, jobOf, logFrame } from '../contract/storage-samples.ts'
import { createFakeRuntime } from '../fake-runtime.ts'
import { startCuttingProxy, type Cut } from '../fixtures/cutting-proxy.ts'
import { createSchema, query } from '../fixtures/postgres.ts'

async function proxied(t: Test) {
  const { databaseUrl } = await createSchema(t)
  const proxy = await startCuttingProxy(databaseUrl)
  t.teardown(() => proxy.close())
  return proxy
}

async function open(t: Test, waits: Partial<Waits> = {}) {
  const proxy = await proxied(t)
  const storage = await openPostgresStorage({ databaseUrl: proxy.url, dataDir: t.testdir(), waits })
  t.teardown(() => storage.close())
  const rereads: true[] = []
  const reread = Promise.withResolvers<void>()
  storage.onReread(() => {
    rereads.push(true)
    reread.resolve()
  })
  return { proxy, storage, rereads, reread: reread.promise }
}

await t.test('a commit whose answer was lost is found stored, and its works resolve', async (t) => {
  const { proxy, storage, rereads } = await open(t)
  const job = jobOf()
  await insert(storage, job)
  const cut = proxy.cutAtCommit('after')
  const lasts = await Promise.all(
    [1, 2, 3].map(() => storage.write((tx) => tx.events.append(job.id, [logFrame('x')])))
  )
  await cut
  t.strictSame(lasts, [1, 2, 3])
  t.equal(await storage.events.lastSeq(job.id), 3)
  t.match(await storage.status(), { writable: true, message: null })
  t.strictSame(rereads, [])
})

await t.test('a commit that never got there is told as not stored, and the next one is', async (t) => {
  const { proxy, storage, rereads } = await open(t)
  const [lost, next] = [jobOf(), jobOf()]
  const cut = proxy.cutAtCommit('before')
  await t.rejects(insert(storage, lost), {
    code: 'storage-unavailable',
    statusCode: 503,
    headers: { 'retry-after': '5' },
    message: /nothing of it is stored/
  })
  await cut
  await insert(storage, next)
  t.equal(await storage.jobs.find(lost.id), null)
  t.strictSame(await storage.jobs.find(next.id), next)
  t.strictSame(rereads, [])
})

await t.test(
  'where nobody can be asked in time it is 503, and memory is told once it is known',
  async (t) => {
    const { proxy, storage, rereads, reread } = await open(t, { doubtMs: 300 })
    const [first, second] = [jobOf(), jobOf()]
    const cut = proxy.cutAtCommit('after').then(() => proxy.refuse())
    await t.rejects(insert(storage, first), {
      code: 'storage-unavailable',
      message: /whether it is stored is not known yet/
    })
    await cut
    await t.rejects(
      insert(storage, second),
      { code: 'storage-unavailable' },
      'and so is all that comes meanwhile'
    )
    await t.rejects(storage.jobs.find(first.id), { code: 'storage-unavailable' }, 'reads too')
    t.match(await storage.status(), { writable: false, message: /^The database 127\.0\.0\.1:\d+\/roost / })
    t.strictSame(rereads, [])
    proxy.allow()
    await reread
    t.strictSame(await storage.jobs.find(first.id), first)
    await insert(storage, second)
    t.match(await storage.status(), { writable: true, message: null })
    t.strictSame(rereads, [true])
  }
)

await t.test('nothing is read again where the commit in doubt was not stored', async (t) => {
  const { proxy, storage, rereads } = await open(t, { doubtMs: 300 })
  const [lost, next] = [jobOf(), jobOf()]
  const cut = proxy.cutAtCommit('before').then(() => proxy.refuse())
  await t.rejects(insert(storage, lost), { message: /not known yet/ })
  await cut
  proxy.allow()
  for (let stored = false; !stored;)
    stored = await insert(storage, next).then(
      () => true,
      () => false
    )
  t.equal(await storage.jobs.find(lost.id), null)
  t.strictSame(rereads, [])
})

await t.test('closed while it connects again, it leaves no session and no lock behind', async (t) => {
  const { databaseUrl, schema } = await createSchema(t)
  const proxy = await startCuttingProxy(`${databaseUrl}&application_name=${schema}`)
  t.teardown(() => proxy.close())
  const closed = await openPostgresStorage({ databaseUrl: proxy.url, dataDir: t.testdir({}) })
  proxy.refuse()
  const other = await openPostgresStorage({ databaseUrl, dataDir: t.testdir({}) })
  proxy.allow()
  const asking = `select 1 from pg_stat_activity where application_name = '${schema}'`
  while ((await query(`${asking} and query like '%advisory%'`)).length === 0);
  // It is connected, and waits for the lock that the other one holds.
  await closed.close()
  while ((await query(asking)).length > 0);
  await other.close()
  const next = { databaseUrl, dataDir: t.testdir({}), waits: { lockMs: 500 } }
  await t.resolves(openPostgresStorage(next).then((storage) => storage.close()))
})

await t.test('the audit goes on from what another service wrote between two connections', async (t) => {
  const { databaseUrl } = await createSchema(t)
  const proxy = await startCuttingProxy(databaseUrl)
  t.teardown(() => proxy.close())
  const storage = await openPostgresStorage({ databaseUrl: proxy.url, dataDir: t.testdir({}) })
  t.teardown(() => storage.close())
  const append = (to: Storage) =>
    to.write((tx) => tx.audit.append(auditRecord(system, Date.now(), 'service.start', 'x')))
  await append(storage)
  proxy.refuse()
  const other = await openPostgresStorage({ databaseUrl, dataDir: t.testdir({}) })
  await append(other)
  await other.close()
  proxy.allow()
  while (!(await storage.status()).writable) await nextTurn()
  await append(storage)
  t.match(await storage.audit.verify(), { entries: 3, fault: null })
})

await t.test('what a commit found later appended and revoked reaches those that wait', async (t) => {
  const { proxy, storage, reread } = await open(t, { doubtMs: 300 })
  const job = jobOf()
  await insert(storage, job)
  const auth = createAuth({
    storage,
    clock: systemClock,
    log: Fastify().log,
    dataDir: t.testdir(),
    token: testToken,
    failures: null,
    jwt: null
  })
  t.teardown(() => auth.close())
  const { token, record } = await auth.create({ name: 'reader', scopes: ['read:jobs'] })
  const ended = Promise.withResolvers<string>()
  auth.watch(await auth.authenticate(token, () => '127.0.0.1'), ended.resolve)
  const pages = createPages({ storage })
  t.teardown(() => pages.close())
  const leave = new AbortController()
  const log = follow(pages, job.id, { from: 1, signal: leave.signal })
  await storage.write((tx) => tx.events.append(job.id, [logFrame('one')]))
  t.match((await log.next()).value, { from: 1, to: 1 })
  const next = log.next()
  const cut = proxy.cutAtCommit('after').then(() => proxy.refuse())
  const doubtful = storage.write(async (tx) => {
    await tx.events.append(job.id, [logFrame('two')])
    await tx.tokens.revoke(record.id, Date.now())
  })
  await t.rejects(doubtful, { message: /whether it is stored is not known yet/ })
  await cut
  proxy.allow()
  await reread
  t.match((await next).value, { from: 2, to: 2 })
  t.equal(await ended.promise, 'the token was revoked')
  leave.abort()
})

await t.test(
  'a commit that hangs: a twin is told in-flight after 5 s, and the key replays later',
  async (t) => {
    const proxy = await proxied(t)
    const fake = createFakeRuntime({})
    const app = await build(t, { process: 'off', databaseUrl: proxy.url }, { runtimes: [fake.runtime] })
    await app.ready()
    const ask = async () => {
      const startedAt = performance.now()
      const answer = await app.inject({
        method: 'POST',
        url: '/schedule',
        headers: { ...asAdmin, 'idempotency-key': 'k' },
        payload: { task: { type: 'test/fake' } }
      })
      return { answer, seconds: (performance.now() - startedAt) / 1000 }
    }
    const { held, release } = proxy.holdCommit()
    const first = ask()
    await held
    const twin = await ask()
    t.match(twin.answer.json(), { status: 409, code: 'idempotency-in-flight' })
    t.equal(twin.answer.headers['retry-after'], '5')
    t.ok(twin.seconds >= 4.9 && twin.seconds < 8, `after ${twin.seconds} s`)
    release()
    const { answer } = await first
    t.equal(answer.statusCode, 202, answer.body)
    const replay = (await ask()).answer
    t.strictSame([replay.headers['idempotency-replayed'], replay.body], ['true', answer.body])
    t.equal((await app.storage.jobs.list({ limit: 10 })).items.length, 1)
  }
)

/** A whole service whose job is carried through while one commit of its way is cut. */
async function carryThrough(t: Test, cut: Cut, skip: number, isDoubtful: boolean) {
  const proxy = await proxied(t)
  const fake = createFakeRuntime({ output: 'once\n' })
  const app = await build(t, { process: 'off', databaseUrl: proxy.url }, { runtimes: [fake.runtime] })
  await app.ready()
  const done = proxy.cutAtCommit(cut, skip)
  if (isDoubtful) {
    void done.then(() => {
      proxy.refuse()
      // The waiters are told; only then the database comes back.
      const isTold = () => app.logLines.some((line) => line.includes('a commit failed'))
      const look = setInterval(() => {
        if (!isTold()) return
        clearInterval(look)
        proxy.allow()
      }, 20)
    })
  }
  const ask = async () =>
    await app.inject({
      method: 'POST',
      url: '/schedule',
      headers: { ...asAdmin, 'idempotency-key': 'k' },
      payload: { task: { type: 'test/fake' } }
    })
  let answer = await ask()
  while (answer.statusCode === 503) answer = await ask()
  t.equal(answer.statusCode, 202)
  await done
  const { id } = answer.json<Job>()
  const find = async (): Promise<Job | null> => {
    const found = await app.inject({ url: `/v1/jobs/${id}`, headers: asAdmin })
    return found.statusCode === 200 ? found.json<Job>() : null
  }
  let job = await find()
  while (job?.state !== 'succeeded') {
    await new Promise((resolve) => setTimeout(resolve, 50))
    job = await find()
  }
  t.equal(fake.started.length, 1, 'started once')
  t.equal(job.attempts.length, 1)
  const stored = await app.storage.events.read(id, 1, 100, 1e6)
  const frames = stored.map(({ json }) => JSON.parse(json) as Frame)
  t.strictSame(
    stored.map(({ seq }) => seq),
    stored.map((_, i) => i + 1)
  )
  t.strictSame(
    frames.map((frame) => (frame.type === 'status' ? frame.state : frame.type)),
    ['queued', 'scheduled', 'running', 'log', 'result'],
    'each step once'
  )
  const jobs = await app.inject({ url: '/v1/jobs', headers: asAdmin })
  t.equal(jobs.json<{ items: Job[] }>().items.length, 1)
  t.match(await app.storage.audit.verify(), { fault: null })
  const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
  for (const name of ['roost_jobs_accepted_total', 'roost_placements_total{runtime="fake"}'])
    t.ok(body.includes(`\n${name} 1\n`), name)
}

/** The commits of a job: accepted, placed, started, output, ended. */
const commits = [0, 1, 2, 3, 4]

await t.test('whichever commit of a job is cut, the job runs once and its log is whole', async (t) => {
  for (const cut of ['before', 'after'] as const)
    for (const skip of commits)
      await t.test(`${cut} commit ${skip}`, async (t) => await carryThrough(t, cut, skip, false))
})

await t.test('also where its waiters were told that it failed', async (t) => {
  for (const skip of commits)
    await t.test(`after commit ${skip}`, async (t) => await carryThrough(t, 'after', skip, true))
  await t.test('before commit 1', async (t) => await carryThrough(t, 'before', 1, true))
})
