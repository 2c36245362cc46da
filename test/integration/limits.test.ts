import { mock } from 'node:test'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { asAdmin, build, testToken, type TestLike } from '../build.ts'
import { createFakeClock } from '../fake-clock.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

const as = (token: string) => ({ authorization: `Bearer ${token}`, host: 'localhost' })
const anonymous = { host: 'localhost' }

/** @fastify/rate-limit counts by Date.now(). */
function holdDate(t: TestLike) {
  mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 25) })
  t.teardown(() => mock.timers.reset())
  return (ms: number) => mock.timers.setTime(Date.now() + ms)
}

await t.test('each token has a window of its own, with the headers of draft 11', async (t) => {
  const advance = holdDate(t)
  const app = await build(t, { process: 'off', rateLimit: '3/60' })
  const { token } = await app.auth.create({ name: 'ci', scopes: ['read:jobs'] })
  const ask = async (headers: Record<string, string>) => await app.inject({ url: '/v1/jobs', headers })
  const first = await ask(as(token))
  t.equal(first.headers['ratelimit-policy'], '"default";q=3;w=60')
  t.equal(first.headers['ratelimit'], '"default";r=2;t=60')
  t.equal(first.headers['retry-after'], undefined)
  advance(10_000)
  t.equal((await ask(as(token))).headers['ratelimit'], '"default";r=1;t=50')
  await ask(as(token))
  const refused = await ask(as(token))
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), {
    code: 'rate-limited',
    detail: 'Requests of the token "ci": at most 3 in 60 s; try again in 50 s'
  })
  t.equal(refused.headers['content-type'], 'application/problem+json; charset=utf-8')
  t.equal(refused.headers['ratelimit'], '"default";r=0;t=50')
  t.equal(refused.headers['retry-after'], '50')
  t.equal((await ask(asAdmin)).statusCode, 200, 'another token is another client')
  advance(50_000)
  t.equal((await ask(as(token))).statusCode, 200, 'a new window')
})

await t.test(
  'without a token the address counts, an IPv6 client by its /64, and probes not at all',
  async (t) => {
    const app = await build(t, { process: 'off', rateLimit: '2/60', trustProxy: ['127.0.0.1'] })
    const ask = async (from: string, url = '/health', headers: Record<string, string> = {}) =>
      await app.inject({ url, headers: { ...anonymous, 'x-forwarded-for': from, ...headers } })
    await ask('192.0.2.1')
    await ask('192.0.2.1')
    t.equal((await ask('192.0.2.1')).statusCode, 429)
    t.equal((await ask('192.0.2.2')).statusCode, 200)
    await ask('2001:db8:1:2::1')
    await ask('2001:db8:1:2:ffff::2')
    t.equal((await ask('2001:db8:1:2:a::3')).statusCode, 429, 'one /64')
    t.equal((await ask('2001:db8:1:3::1')).statusCode, 200, 'another /64')
    t.equal((await ask('::ffff:192.0.2.1')).statusCode, 429, 'IPv4 in IPv6 form')
    t.equal((await ask('192.0.2.1', '/livez')).statusCode, 200)
    t.equal((await ask('192.0.2.1', '/readyz')).statusCode, 200)
    await ask('192.0.2.9', '/v1/jobs')
    await ask('192.0.2.9', '/v1/jobs', as('roost_unknown'))
    t.equal((await ask('192.0.2.9')).statusCode, 429, 'what auth refused counts')
  }
)

await t.test('what is refused before it is counted is limited too, each for its own client', async (t) => {
  const app = await build(t, { process: 'off', rateLimit: '3/60', trustProxy: ['127.0.0.1'] })
  const { token } = await app.auth.create({ name: 'reader', scopes: ['read:jobs'] })
  const revoked = await app.auth.create({ name: 'gone', scopes: ['read:jobs'] })
  await app.auth.revoke(revoked.record.id)
  let clients = 0
  async function fourOf(url: string, headers: Record<string, string>, method: 'GET' | 'DELETE' = 'GET') {
    const from = `192.0.2.${++clients}`
    const ask = async (url: string, headers: Record<string, string>, method: 'GET' | 'DELETE' = 'GET') =>
      await app.inject({ method, url, headers: { ...anonymous, ...headers, 'x-forwarded-for': from } })
    const answers = []
    for (let i = 0; i < 4; i++) answers.push(await ask(url, headers, method))
    t.equal(answers[0]?.headers['ratelimit'], '"default";r=2;t=60', url)
    t.equal(answers[3]?.json<{ code: string }>().code, 'rate-limited', url)
    const stranger = await ask('/health', {})
    return [...answers, stranger].map(({ statusCode }) => statusCode)
  }
  const reader = async () => as((await app.auth.create({ name: 'r', scopes: ['read:jobs'] })).token)
  t.same(await fourOf('/v1/tokens', as(token)), [403, 403, 403, 429, 200], 'the token pays, not its address')
  t.same(await fourOf('/nowhere', await reader()), [404, 404, 404, 429, 200])
  t.same(await fourOf('/v1/jobs', await reader(), 'DELETE'), [405, 405, 405, 429, 200])
  t.same(await fourOf('/v1/jobs/%00', await reader()), [404, 404, 404, 429, 200])
  t.same(await fourOf('/nowhere', {}), [404, 404, 404, 429, 429])
  t.same(await fourOf('/v1/jobs', as(revoked.token)), [401, 401, 401, 429, 429])
  t.same(await fourOf('/v1/jobs', as('two words')), [401, 401, 401, 429, 429])
  t.same(await fourOf('/v1/jobs', { host: 'elsewhere.example' }), [421, 421, 421, 429, 429])
})

await t.test('X-Forwarded-For of a stranger is not believed', async (t) => {
  const app = await build(t, { process: 'off', rateLimit: '2/60', trustProxy: ['192.0.2.1'] })
  const ask = async (from: string) =>
    (await app.inject({ url: '/health', headers: { ...anonymous, 'x-forwarded-for': from } })).statusCode
  t.same([await ask('10.0.0.1'), await ask('10.0.0.2'), await ask('10.0.0.3')], [200, 200, 429])
})

await t.test('the rate limit holds for streams, also those opened within the process', async (t) => {
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(t, { process: 'off', rateLimit: '4/60' }, { runtimes: [fake.runtime] })
  await app.ready()
  const job = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { task: { type: 'test/fake' } }
  })
  const { id } = job.json<{ id: string }>()
  const { token } = await app.auth.create({ name: 'reader', scopes: ['read:jobs'] })
  const open = async () => (await app.injectWS(`/stream/${id}`, { headers: as(token) })).terminate()
  for (let i = 0; i < 4; i++) await open()
  await t.rejects(open(), /429/)
  t.equal((await app.inject({ url: `/v1/jobs/${id}/events`, headers: as(token) })).statusCode, 429)
})

await t.test('an address that sends unknown tokens has to wait, others and good tokens do not', async (t) => {
  const clock = createFakeClock()
  const app = await build(
    t,
    { process: 'off', limits: { authFailures: '3/60' }, trustProxy: ['127.0.0.1'] },
    { clock }
  )
  const good = await app.auth.create({ name: 'good', scopes: ['read:jobs'] })
  const fresh = await app.auth.create({ name: 'fresh', scopes: ['read:jobs'] })
  const revoked = await app.auth.create({ name: 'old', scopes: ['read:jobs'] })
  await app.auth.revoke(revoked.record.id)
  const ask = async (token: string, from = '192.0.2.1') => {
    const response = await app.inject({
      url: '/v1/jobs',
      headers: { ...as(token), 'x-forwarded-for': from }
    })
    return { status: response.statusCode, ...response.json<object>(), wait: response.headers['retry-after'] }
  }
  t.equal((await ask(good.token)).status, 200)
  for (let i = 0; i < 5; i++)
    t.equal((await ask(revoked.token)).status, 401, 'what was good once is no guess')
  for (let i = 0; i < 3; i++) t.equal((await ask(`roost_guess${i}`)).status, 401)
  clock.advance(20_000)
  t.match(await ask('roost_guess3'), { status: 429, code: 'rate-limited', wait: '40' })
  t.equal((await ask(testToken)).status, 429, 'a guess that is right is not told from a wrong one')
  t.equal((await ask(good.token)).status, 200, 'seen before')
  t.equal((await ask(fresh.token)).status, 200, 'made here')
  t.equal((await ask(testToken, '192.0.2.2')).status, 200, 'from elsewhere')
  t.equal((await ask(testToken)).status, 200, 'and then it is known')
  const health = await app.inject({
    url: '/health',
    headers: { ...as('roost_guess4'), 'x-forwarded-for': '192.0.2.1' }
  })
  t.equal(health.statusCode, 200, 'what is public stays so')
  clock.advance(40_000)
  t.equal((await ask('roost_guess5')).status, 401, 'a new window')
})

await t.test('under load requests are shed in words, probes and streams are not', async (t) => {
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(
    t,
    // Any process takes more than a byte: the first samples after the start shed.
    { process: 'off', limits: { rssBytes: 1, sampleSeconds: 0.02 } },
    { runtimes: [fake.runtime] }
  )
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  // Accepted and followed before the load counts.
  const job = await app.scheduler.submit(
    { task: { type: 'test/fake' } },
    { principal: await app.auth.authenticate(asAdmin.authorization.slice(7), () => 'none'), requestId: null }
  )
  const order = await until(() => fake.started[0])
  const { id } = job.job
  const principal = await app.auth.authenticate(asAdmin.authorization.slice(7), () => 'none')
  const frames: string[] = []
  const reader = app.stream.text(
    { jobId: id, principal, from: 1, follow: true },
    new AbortController().signal
  )
  reader.on('data', (chunk: Buffer) => frames.push(chunk.toString()))
  await until(() => app.overload() ?? undefined)

  const ask = async (url: string) => await fetch(`http://127.0.0.1:${port}${url}`, { headers: asAdmin })
  const shed = await ask('/v1/jobs')
  t.equal(shed.status, 503)
  t.equal(shed.headers.get('retry-after'), '1')
  t.match(await shed.json(), { code: 'overloaded', detail: /^The service takes \d+ MiB; 0 MiB are allowed$/ })
  t.equal((await ask('/livez')).status, 200)
  const ready = await ask('/readyz?verbose')
  t.equal(ready.status, 503, 'readiness says so')
  t.match(
    ((await ready.json()) as { checks: object[] }).checks.find(
      (check) => (check as { name: string }).name === 'load'
    ),
    { ok: false, message: /MiB are allowed/ }
  )
  const refused = new WebSocket(`ws://127.0.0.1:${port}/stream/${id}`, { headers: asAdmin })
  refused.on('error', () => {})
  const [, answer] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }]
  t.equal(answer.statusCode, 503)

  await fake.say(order, { type: 'output', stream: 'stdout', bytes: Buffer.from('still here\n'), cursor: '1' })
  await until(() => (frames.join('').includes('still here') ? true : undefined))
  await fake.finish(order.name, 0)
  await once(reader, 'end')
  t.equal((await app.storage.jobs.find(id))?.state, 'succeeded', 'jobs go on and end')
})

await t.test('what happens within the first samples is the start, and sheds nothing', async (t) => {
  const app = await build(t, { process: 'off', limits: { rssBytes: 1, sampleSeconds: 60 } })
  await app.ready()
  t.equal(app.overload(), null)
  t.equal((await app.inject({ url: '/v1/jobs', headers: asAdmin })).statusCode, 200)
})

async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    await new Promise((resolve) => setImmediate(resolve))
  }
}
