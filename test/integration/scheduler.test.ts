import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Job, JobSpec, JobState } from '../../src/schemas/job.ts'
import type { Placement } from '../../src/schemas/placement.ts'
import type { Frame } from '../../src/schemas/frame.ts'
import { asAdmin, build } from '../build.ts'
import { createFakeRuntime, type FakeRuntimeOptions } from '../fake-runtime.ts'

type App = Awaited<ReturnType<typeof build>>
const quick = { maxAttempts: 3, backoffSeconds: 0, maxBackoffSeconds: 0 }

async function open(
  t: Parameters<typeof build>[0],
  options: FakeRuntimeOptions = {},
  config: Parameters<typeof build>[1] = {}
) {
  const fake = createFakeRuntime(options)
  const app = await build(t, { process: 'off', ...config }, { runtimes: [fake.runtime] })
  await app.ready()
  return { app, fake }
}

const post = async (app: App, url: string, payload: object, headers: Record<string, string> = {}) =>
  await app.inject({ method: 'POST', url, headers: { ...asAdmin, ...headers }, payload })

async function submit(app: App, spec: Partial<JobSpec> = {}): Promise<Job> {
  const response = await post(app, '/schedule', { task: { type: 'test/fake' }, ...spec })
  if (response.statusCode !== 202) throw new Error(response.body)
  return response.json<Job>()
}

const find = async (app: App, id: string): Promise<Job> =>
  (await app.inject({ url: `/v1/jobs/${id}`, headers: asAdmin })).json<Job>()

/** Resolves when the job is in one of these states; woken by its log. */
async function until(app: App, id: string, ...states: JobState[]): Promise<Job> {
  return await new Promise((resolve, reject) => {
    const look = () =>
      void find(app, id).then((job) => {
        if (!states.includes(job.state)) return
        stop()
        resolve(job)
      }, reject)
    const stop = app.storage.onAppended((grown) => {
      if (grown.has(id)) look()
    })
    look()
  })
}

async function frames(app: App, id: string): Promise<Frame[]> {
  const stored = await app.storage.events.read(id, 1, 1000, 2 ** 20)
  return stored.map(({ json }) => JSON.parse(json) as Frame)
}

await t.test('a job is accepted, placed, started and finished, with a frame for each step', async (t) => {
  const { app, fake } = await open(t, { output: 'hi\n' })
  const response = await post(app, '/schedule', { name: 'first', task: { type: 'test/fake' } })
  t.equal(response.statusCode, 202)
  const job = response.json<Job>()
  t.equal(response.headers.location, `/v1/jobs/${job.id}`)
  t.match(job, {
    state: 'queued',
    name: 'first',
    tenant: 'default',
    lastSeq: 1,
    attempts: [],
    spec: { resources: { cpu: 0.1, memory: '64Mi', gpu: 0 }, priority: 50 }
  })
  const done = await until(app, job.id, 'succeeded')
  t.match(done, {
    result: { exitCode: 0 },
    attempts: [{ number: 1, state: 'succeeded', runtime: 'fake', pod: `roost-${job.id}-1`, exitCode: 0 }]
  })
  const log = await frames(app, job.id)
  t.same(
    log.map((frame) => (frame.type === 'status' ? frame.state : frame.type)),
    ['queued', 'scheduled', 'running', 'log', 'result']
  )
  t.same(
    log.map((frame) => ('seq' in frame ? frame.seq : 0)),
    [1, 2, 3, 4, 5]
  )
  t.equal(done.lastSeq, 5)
  t.equal(fake.started.length, 1)
})

await t.test('a time-out of a fraction of a millisecond keeps no job from its start', async (t) => {
  const { app } = await open(t)
  const { id } = await submit(app, { timeoutSeconds: 1_000.000_123_4 })
  t.equal((await until(app, id, 'succeeded', 'failed')).state, 'succeeded')
})

await t.test('retries up to maxAttempts, then fails with the last exit code', async (t) => {
  const { app, fake } = await open(t, { exitCode: 7 })
  const job = await until(app, (await submit(app, { retry: quick })).id, 'failed')
  t.match(job, { reason: 'exit-nonzero', result: { exitCode: 7 } })
  t.same(
    job.attempts.map(({ number, state }) => [number, state]),
    [
      [1, 'failed'],
      [2, 'failed'],
      [3, 'failed']
    ]
  )
  t.same(
    fake.started.map(({ name }) => name),
    [1, 2, 3].map((n) => `roost-${job.id}-${n}`)
  )
})

await t.test('attempts that never started do not count', async (t) => {
  for (const faults of [{ failStarts: 2 }, { throwStarts: 2 }]) {
    const { app } = await open(t, faults)
    const job = await until(
      app,
      (await submit(app, { retry: { ...quick, maxAttempts: 1 } })).id,
      'succeeded',
      'failed'
    )
    t.equal(job.state, 'succeeded')
    t.same(
      job.attempts.map(({ state }) => state),
      ['failed', 'failed', 'succeeded']
    )
  }
})

await t.test('cancel', async (t) => {
  await t.test('of a waiting job is at once', async (t) => {
    const { app, fake } = await open(t, { exitCode: null })
    const gate = await submit(app)
    const job = await submit(app, { dependsOn: [gate.id] })
    const response = await app.inject({ method: 'DELETE', url: `/v1/jobs/${job.id}`, headers: asAdmin })
    t.equal(response.statusCode, 202)
    t.match(response.json(), { state: 'cancelled', reason: 'cancelled' })
    t.equal(fake.stopped.length, 0)
    t.match((await frames(app, job.id)).at(-1), { type: 'error', state: 'cancelled', code: 'cancelled' })
  })
  await t.test('of a running job ends what runs', async (t) => {
    const { app, fake } = await open(t, { exitCode: null })
    const { id } = await submit(app)
    await until(app, id, 'running')
    await app.inject({ method: 'DELETE', url: `/v1/jobs/${id}?reason=enough`, headers: asAdmin })
    t.match(await until(app, id, 'cancelled'), {
      message: 'enough',
      attempts: [{ state: 'cancelled', signal: 'SIGTERM' }]
    })
    t.same(fake.stopped, [`roost-${id}-1`])
    const again = await app.inject({ method: 'DELETE', url: `/v1/jobs/${id}`, headers: asAdmin })
    t.equal(again.statusCode, 409)
    t.equal(again.json<{ code: string }>().code, 'already-finished')
  })
  await t.test('at the very moment of its start never leaves it running', async (t) => {
    const { app, fake } = await open(t, { exitCode: null })
    const ids = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const { id } = await submit(app, { resources: { cpu: 0, memory: 0 } })
        for (let turns = i % 10; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
        await app.inject({ method: 'DELETE', url: `/v1/jobs/${id}`, headers: asAdmin })
        return id
      })
    )
    for (const id of ids) await until(app, id, 'cancelled')
    t.equal(fake.running.size, 0)
  })
})

await t.test('evict puts the job back into the queue and does not count', async (t) => {
  const { app, fake } = await open(t, { exitCode: null })
  const { id } = await submit(app)
  await until(app, id, 'running')
  const response = await post(app, '/evict', { pod: `roost-${id}-1`, reason: 'room needed' })
  t.equal(response.statusCode, 202)
  while (fake.started.length < 2) await new Promise((resolve) => setImmediate(resolve))
  await until(app, id, 'running')
  await fake.finish(`roost-${id}-2`, 0)
  t.same(
    (await until(app, id, 'succeeded')).attempts.map(({ state }) => state),
    ['evicted', 'succeeded']
  )
  for (const [body, status, code] of [
    [{ jobId: id }, 409, 'already-finished'],
    [{ pod: `roost-${id}-1` }, 409, 'already-finished'],
    [{ pod: `roost-${id}-9` }, 409, 'already-finished'],
    [{ jobId: '01hzzzzzzzzzzzzzzzzzzzzzzz' }, 404, 'job-not-found'],
    [{ pod: 'nginx' }, 404, 'pod-not-found'],
    [{}, 422, 'invalid'],
    [{ pod: 'x', jobId: id }, 422, 'invalid']
  ] as const) {
    const refused = await post(app, '/evict', body)
    t.same([refused.statusCode, refused.json<{ code: string }>().code], [status, code], JSON.stringify(body))
  }
})

await t.test('a job that only waits is not evicted, but ended where it is not to be put back', async (t) => {
  const { app, fake } = await open(t, { exitCode: null })
  const first = await submit(app)
  await until(app, first.id, 'running')
  const { id } = await submit(app, { dependsOn: [first.id] })
  const refused = await post(app, '/evict', { jobId: id })
  t.equal(refused.statusCode, 409)
  t.match(refused.json(), { code: 'not-running', detail: /is queued and waits already/ })
  t.equal((await find(app, id)).state, 'queued')
  t.equal((await post(app, '/evict', { jobId: id, requeue: false })).statusCode, 202)
  t.match(await find(app, id), { state: 'cancelled', reason: 'evicted' })
  await fake.finish(`roost-${first.id}-1`, 0)
})

await t.test('late words of an older attempt change nothing', async (t) => {
  const { app, fake } = await open(t, { exitCode: null })
  const { id } = await submit(app)
  await until(app, id, 'running')
  const old = fake.started[0]!
  await post(app, '/evict', { jobId: id })
  while (fake.started.length < 2) await new Promise((resolve) => setImmediate(resolve))
  await until(app, id, 'running')
  const before = await frames(app, id)
  await fake.say(old, { type: 'output', stream: 'stdout', bytes: Buffer.from('late'), cursor: '9' })
  await fake.say(old, { type: 'exited', exitCode: 0, signal: null, cause: null })
  t.same(await frames(app, id), before)
  t.equal((await find(app, id)).state, 'running')
})

await t.test('dependsOn', async (t) => {
  await t.test('waits, says for what, and goes on after success', async (t) => {
    const { app, fake } = await open(t, { exitCode: null })
    const first = await submit(app)
    const second = await submit(app, { dependsOn: [first.id] })
    await until(app, first.id, 'running')
    t.match(await find(app, second.id), {
      state: 'queued',
      reason: 'dependencies',
      message: new RegExp(first.id)
    })
    await fake.finish(`roost-${first.id}-1`, 0)
    await until(app, second.id, 'running')
  })
  await t.test('a failed dependency cancels the whole chain with its reason', async (t) => {
    const { app, fake } = await open(t, { exitCode: null })
    const first = await submit(app)
    const second = await submit(app, { dependsOn: [first.id] })
    const third = await submit(app, { dependsOn: [second.id] })
    await until(app, first.id, 'running')
    await fake.finish(`roost-${first.id}-1`, 1)
    t.match(await until(app, second.id, 'cancelled'), {
      reason: 'dependency-failed',
      message: new RegExp(`${first.id}.*failed`)
    })
    t.match(await until(app, third.id, 'cancelled'), {
      reason: 'dependency-failed',
      message: new RegExp(`${second.id}.*cancelled`)
    })
    t.match(
      await submit(app, { dependsOn: [first.id] }),
      { state: 'cancelled', reason: 'dependency-failed' },
      'also where it had failed before'
    )
  })
})

await t.test('room: nobody takes more than there is, in the order of priority and age', async (t) => {
  const { app, fake } = await open(
    t,
    { exitCode: null },
    { capacity: { cpu: 1, slots: 100, reserve: { cpu: 0, memory: 0 } } }
  )
  const spec = { resources: { cpu: 0.5, memory: 0 } }
  const first = await submit(app, spec)
  const second = await submit(app, spec)
  await until(app, second.id, 'running')
  const low = await submit(app, { ...spec, priority: 10 })
  const high = await submit(app, { ...spec, priority: 90 })
  t.match(await find(app, high.id), { state: 'queued', reason: 'insufficient-cpu' })
  await fake.finish(`roost-${first.id}-1`, 0)
  await until(app, high.id, 'running')
  t.equal((await find(app, low.id)).state, 'queued')
  const queue = (await app.inject({ url: '/v1/queue', headers: asAdmin })).json<{
    items: { jobId: string }[]
  }>()
  t.same(
    queue.items.map(({ jobId }) => jobId),
    [low.id]
  )
  const health = (await app.inject({ url: '/health', headers: asAdmin })).json<{
    capacity: { cpu: { requested: number } }
    queue: { depth: number }
  }>()
  t.match(health, { capacity: { cpu: { requested: 1 } }, queue: { depth: 1 } })
})

await t.test('a dry run explains and stores nothing', async (t) => {
  const { app } = await open(t, { exitCode: null })
  const response = await post(app, '/schedule?dryRun=true', {
    task: { type: 'test/fake' },
    constraints: [{ key: 'zone', operator: 'In', values: ['moon'] }]
  })
  t.equal(response.statusCode, 200)
  const placement = response.json<Placement>()
  t.equal(placement.choice, null)
  t.match(placement.filtered[0]?.reasons[0], { code: 'constraint', permanent: true })
  const fits = (await post(app, '/schedule?dryRun=true', { task: { type: 'test/fake' } })).json<Placement>()
  t.equal(fits.choice, app.node.id)
  t.same((await app.inject({ url: '/v1/jobs', headers: asAdmin })).json<{ items: [] }>().items, [])
})

await t.test('Idempotency-Key', async (t) => {
  const { app, fake } = await open(t)
  const ask = async (key: string, spec: object = {}) =>
    await post(app, '/schedule', { task: { type: 'test/fake' }, ...spec }, { 'idempotency-key': key })
  const twins = await Promise.all(Array.from({ length: 8 }, async () => await ask('"k"')))
  t.equal(new Set(twins.map((twin) => twin.body)).size, 1, 'twins at the same time are one job, one answer')
  t.equal(twins.filter((twin) => twin.headers['idempotency-replayed'] === 'true').length, 7)
  const id = twins[0]!.json<Job>().id
  await until(app, id, 'succeeded')
  const later = await ask('k')
  t.equal(later.body, twins[0]!.body, 'bare or quoted, the first answer again')
  const other = await ask('k', { priority: 1 })
  t.same([other.statusCode, other.json<{ code: string }>().code], [422, 'idempotency-mismatch'])
  t.equal(fake.started.length, 1)
})

await t.test('a placed job says where it went and why, and carries its caller’s trace', async (t) => {
  const { app, fake } = await open(t)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const accepted = await post(app, '/schedule', { task: { type: 'test/fake' } }, { traceparent })
  const job = await until(app, accepted.json<Job>().id, 'succeeded')
  t.match(job.placement, {
    choice: app.node.id,
    candidates: [{ node: app.node.id, runtime: 'fake' }],
    filtered: []
  })
  t.equal(fake.started[0]?.env['TRACEPARENT'], traceparent)
})

await t.test('?unique=name, purge and rerun', async (t) => {
  const { app, fake } = await open(t, { exitCode: null })
  const one = await post(app, '/schedule?unique=name', { name: 'one', task: { type: 'test/fake' } })
  const two = await post(app, '/schedule?unique=name', { name: 'one', task: { type: 'test/fake' } })
  t.same([two.statusCode, two.json<{ code: string }>().code], [409, 'name-in-use'])
  const { id } = one.json<Job>()
  await until(app, id, 'running')
  const purge = async () =>
    (await app.inject({ method: 'DELETE', url: `/v1/jobs/${id}?purge=true`, headers: asAdmin })).statusCode
  t.equal(await purge(), 409)
  await fake.finish(`roost-${id}-1`, 0)
  await until(app, id, 'succeeded')
  const audit = (await app.inject({ url: '/v1/audit?action=job.submit', headers: asAdmin })).json<{
    items: { subject: string; actor: string }[]
  }>()
  t.match(audit.items, [{ subject: id, actor: 'local' }], 'who did it stands in the audit')
  const again = await post(app, `/v1/jobs/${id}/rerun`, {})
  t.equal(again.statusCode, 202)
  t.not(again.json<Job>().id, id)
  t.equal(await purge(), 204)
  t.equal((await app.inject({ url: `/v1/jobs/${id}`, headers: asAdmin })).statusCode, 404)
})

await t.test('drain takes no more, survives a restart, and undrain ends it', async (t) => {
  const dataDir = t.testdir()
  const { app } = await open(t, { exitCode: null }, { dataDir })
  const { id } = await submit(app)
  await until(app, id, 'running')
  t.match((await post(app, '/v1/nodes/local/drain', {})).json(), { state: 'draining' })
  t.equal(
    (await post(app, '/schedule', { task: { type: 'test/fake' } })).json<{ code: string }>().code,
    'draining'
  )
  t.equal((await app.inject({ url: '/readyz' })).statusCode, 503)
  await app.close()
  const { app: next } = await open(t, { exitCode: null }, { dataDir })
  t.equal((await post(next, '/schedule', { task: { type: 'test/fake' } })).statusCode, 503)
  await post(next, '/v1/nodes/local/undrain', {})
  t.equal((await post(next, '/schedule', { task: { type: 'test/fake' } })).statusCode, 202)
})

await t.test(
  'after a restart the queue is rebuilt and what ran is found again, with its cursor',
  async (t) => {
    const dataDir = t.testdir()
    const { app, fake } = await open(t, { exitCode: null }, { dataDir, capacity: { slots: 1 } })
    const running = await submit(app)
    await until(app, running.id, 'running')
    await fake.say(fake.started[0]!, {
      type: 'output',
      stream: 'stdout',
      bytes: Buffer.from('x'),
      cursor: 'place'
    })
    const waiting = await submit(app)
    await app.close()
    const { app: next, fake: second } = await open(t, { exitCode: null }, { dataDir, capacity: { slots: 1 } })
    t.same(
      second.adopted.map(({ name, cursor }) => [name, cursor]),
      [[`roost-${running.id}-1`, 'place']]
    )
    t.match(await find(next, waiting.id), { state: 'queued', reason: 'no-slot' })
    await second.finish(`roost-${running.id}-1`, 0)
    await until(next, running.id, 'succeeded')
    await until(next, waiting.id, 'running')
  }
)

await t.test('a restored backup starts paused and says what it will not run again', async (t) => {
  const dataDir = t.testdir()
  const { app } = await open(t, { exitCode: null }, { dataDir, capacity: { slots: 1 } })
  // Even one that restarts when its node is lost: its attempt may still run, or have ended well.
  const running = await submit(app, { retry: quick })
  await until(app, running.id, 'running')
  const waiting = await submit(app)
  const file = join(dataDir, 'copy.db')
  t.equal((await post(app, '/v1/backup', { file })).statusCode, 201)
  t.ok(existsSync(file))
  const restoredDir = join(dataDir, 'restored')
  mkdirSync(restoredDir)
  copyFileSync(file, join(restoredDir, 'roost.db'))
  const { app: next, fake } = await open(
    t,
    { exitCode: null },
    { dataDir: restoredDir, capacity: { slots: 1 } }
  )
  t.match(await find(next, running.id), { state: 'failed', reason: 'restored' })
  t.match((await next.inject({ url: '/health', headers: asAdmin })).json(), {
    status: 'paused',
    reasons: [new RegExp(running.id)]
  })
  t.match(await find(next, waiting.id), { state: 'queued', reason: 'paused' })
  t.equal(fake.started.length + fake.adopted.length, 0)
  await post(next, '/v1/nodes/local/undrain', {})
  await until(next, waiting.id, 'running')
  const refused = await post(app, '/v1/backup', { file })
  t.equal(refused.statusCode, 422, 'an existing file is never written over')
})

await t.test('a time-out ends the attempt', async (t) => {
  const { app, fake } = await open(t, { exitCode: null })
  // Timers of the service keep no process alive; its listener does.
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { id } = await submit(app, { timeoutSeconds: 0.05 })
  t.match(await until(app, id, 'failed'), {
    reason: 'timeout',
    attempts: [{ state: 'failed', reason: 'timeout' }]
  })
  t.ok(fake.stopped.includes(`roost-${id}-1`))
})

await t.test(
  'a secret that nobody has fails the job in words; one that is there reaches its process alone',
  async (t) => {
    const { app, fake } = await open(t)
    t.match(await until(app, (await submit(app, { secrets: { T: 'absent' } })).id, 'failed'), {
      reason: 'secret-missing',
      message: /absent.*roost secret set/
    })
    const set = await app.inject({
      method: 'PUT',
      url: '/v1/secrets/there',
      headers: asAdmin,
      payload: { value: 's3cret-value' }
    })
    t.equal(set.statusCode, 204)
    const { id } = await submit(app, { secrets: { T: 'there' } })
    const job = await until(app, id, 'succeeded')
    t.equal(fake.started.at(-1)?.env['T'], 's3cret-value')
    t.equal(JSON.stringify([job, await frames(app, id)]).includes('s3cret-value'), false)
  }
)
