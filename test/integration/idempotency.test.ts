import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import type { Job } from '../../src/schemas/job.ts'
import { asAdmin, build } from '../build.ts'
import { createFakeClock } from '../fake-clock.ts'
import { createFakeRuntime } from '../fake-runtime.ts'
import { startServiceFor, type Service } from '../start-service.ts'

const spec = { task: { type: 'process', command: ['true'] } }

const schedule = async (service: Service, key: string, body: object = spec, query = '') =>
  await fetch(`${service.url}/schedule${query}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${service.token}`,
      'content-type': 'application/json',
      'idempotency-key': key
    },
    body: JSON.stringify(body)
  })

const countJobs = async (service: Service): Promise<number> => {
  const response = await fetch(`${service.url}/v1/jobs`, {
    headers: { authorization: `Bearer ${service.token}` }
  })
  return ((await response.json()) as { items: Job[] }).items.length
}

/** A service that dies between commit and reply where `arm` was called before. */
async function startMortal(t: Test) {
  const folder = t.testdir()
  const armed = join(folder, 'armed')
  const plugin = fileURLToPath(new URL('../fixtures/plugin-dies-after-commit.ts', import.meta.url))
  const config = join(folder, 'roost.yaml')
  writeFileSync(config, JSON.stringify({ plugins: [{ path: plugin, options: { armed } }] }))
  const service = await startServiceFor(t, { flags: ['--config', config], env: { ROOST_PROCESS: 'on' } })
  return { service, arm: () => writeFileSync(armed, '') }
}

await t.test(
  'killed with -9 between commit and reply, the job is there once and is the answer',
  async (t) => {
    const { service, arm } = await startMortal(t)
    arm()
    await t.rejects(schedule(service, 'k'), 'no answer came')
    await service.kill()
    await service.restart()
    t.equal(await countJobs(service), 1)
    const again = await schedule(service, '"k"')
    t.strictSame([again.status, again.headers.get('idempotency-replayed')], [202, 'true'])
    const first = await again.text()
    t.equal(again.headers.get('location'), `/v1/jobs/${(JSON.parse(first) as Job).id}`)

    await service.kill('SIGTERM')
    await service.restart()
    t.equal(await (await schedule(service, 'k')).text(), first, 'after another restart, word for word')
    const other = await schedule(service, 'k', { task: { type: 'process', command: ['false'] } })
    t.match(await other.json(), { status: 422, code: 'idempotency-mismatch' })
    t.equal(await countJobs(service), 1)
  }
)

await t.test('two identical requests at once on two connections are one job', async (t) => {
  const service = await startServiceFor(t, { env: { ROOST_PROCESS: 'on' } })
  for (let round = 0; round < 10; round++) {
    // fetch opens a connection for each request that is under way.
    const answers = await Promise.all([1, 2].map(async () => await schedule(service, `round ${round}`)))
    const bodies = await Promise.all(answers.map(async (answer) => await answer.text()))
    t.equal(bodies[0], bodies[1])
    const replayed = answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')
    t.equal(replayed.length, 1)
  }
  t.equal(await countJobs(service), 10)
})

await t.test('keys are pruned after the hours of the configuration, and a dry run keeps none', async (t) => {
  const clock = createFakeClock()
  const fake = createFakeRuntime({ clock })
  const app = await build(t, { process: 'off', idempotencyKeptHours: 2 }, { runtimes: [fake.runtime], clock })
  await app.ready()
  const ask = async (query = '', key = 'k') =>
    await app.inject({
      method: 'POST',
      url: `/schedule${query}`,
      headers: { ...asAdmin, 'idempotency-key': key },
      payload: { task: { type: 'test/fake' } }
    })
  t.equal((await ask('?dryRun=true')).statusCode, 200)
  t.match(
    (await ask('?dryRun=true', '')).json(),
    { status: 422, code: 'invalid' },
    'nor does it take what is no key'
  )
  t.equal(await app.storage.idempotency.find('default', 'k'), null)
  t.equal((await ask()).headers['idempotency-replayed'], undefined)

  /** The sweep comes once a minute; the write behind it sees what it did. */
  const sweep = async () => {
    clock.advance(60_000)
    await app.storage.jobs.listExpired(0, 1)
    await new Promise(setImmediate)
    await app.storage.write(async () => {})
    await app.storage.write(async () => {})
  }
  clock.advance(2 * 3_600_000 - 60_000)
  await sweep()
  t.equal((await ask()).headers['idempotency-replayed'], 'true', 'two hours are not over')
  clock.advance(60_000)
  await sweep()
  t.equal(await app.storage.idempotency.find('default', 'k'), null)
  t.equal((await ask()).headers['idempotency-replayed'], undefined, 'a new job')
})

await t.test('only an accepted job is kept, and every tenant has keys of its own', async (t) => {
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(t, { process: 'off' }, { runtimes: [fake.runtime] })
  await app.ready()
  const made = await app.inject({
    method: 'POST',
    url: '/v1/tokens',
    headers: asAdmin,
    payload: { name: 'b', tenant: 'b', scopes: ['write:jobs', 'read:jobs'] }
  })
  const asB = { ...asAdmin, authorization: `Bearer ${made.json<{ token: string }>().token}` }
  const ask = async (headers: Record<string, string>, query = '') =>
    await app.inject({
      method: 'POST',
      url: `/schedule${query}`,
      headers: { ...headers, 'idempotency-key': 'k' },
      payload: { name: 'web', task: { type: 'test/fake' } }
    })
  await app.inject({ method: 'POST', url: '/v1/nodes/local/drain', headers: asAdmin })
  t.equal((await ask(asAdmin)).statusCode, 503)
  await app.inject({ method: 'POST', url: '/v1/nodes/local/undrain', headers: asAdmin })
  const one = await ask(asAdmin)
  t.strictSame([one.statusCode, one.headers['idempotency-replayed']], [202, undefined])
  const two = await ask(asB)
  t.strictSame([two.statusCode, two.headers['idempotency-replayed']], [202, undefined])
  t.not(one.json<Job>().id, two.json<Job>().id)
  await app.inject({ method: 'POST', url: '/v1/nodes/local/drain', headers: asAdmin })
  t.equal((await ask(asAdmin)).body, one.body, 'a replay is answered where a new job would be refused')
})

await t.test('a key of version 0.1 replays after the upgrade, word for word', async (t) => {
  const dataDir = t.testdir()
  const old = new Database(join(dataDir, 'roost.db'))
  old.exec(readFileSync(new URL('../fixtures/database-0.1.0.sql', import.meta.url), 'utf8'))
  const first = old.prepare('select response from idempotency').pluck().get()
  old.close()
  const app = await build(t, { dataDir, process: 'off' })
  await app.ready()
  const ask = async (more: object) => {
    const headers = { ...asAdmin, 'idempotency-key': 'k1' }
    const payload = { name: 'x', ...spec, ...more }
    return await app.inject({ method: 'POST', url: '/schedule', headers, payload })
  }
  for (const same of [{}, { priority: 50, timeoutSeconds: 3600 }]) {
    const answer = await ask(same)
    t.strictSame(
      [answer.statusCode, answer.headers['idempotency-replayed'], answer.body],
      [202, 'true', first]
    )
  }
  t.match((await ask({ timeoutSeconds: 60 })).json(), { status: 422, code: 'idempotency-mismatch' })
  t.match(await app.storage.audit.verify(), { entries: 2, fault: null })
})
