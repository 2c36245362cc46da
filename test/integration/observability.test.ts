import t, { type Test } from 'tap'
import type { Job } from '../../src/schemas/job.ts'
import { asAdmin, build } from '../build.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
type App = Awaited<ReturnType<typeof build>>

async function submit(app: App, spec: object, headers: Record<string, string> = {}) {
  const reply = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: { ...asAdmin, ...headers },
    payload: { task: { type: 'test/fake' }, ...spec }
  })
  t.equal(reply.statusCode, 202, reply.body)
  return { reply, job: reply.json<Job>() }
}

/** Reads the log to its end: the job has ended then. */
const toEnd = async (app: App, { id }: Job) =>
  await app.inject({ url: `/v1/jobs/${id}/events`, headers: asAdmin })

async function samples(app: App): Promise<Map<string, number>> {
  const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
  return new Map(
    body
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))])
  )
}

async function open(
  t: Test,
  options: Parameters<typeof createFakeRuntime>[0],
  config: Parameters<typeof build>[1] = {}
) {
  const fake = createFakeRuntime(options)
  const app = await build(t, { process: 'off', ...config }, { runtimes: [fake.runtime] })
  await app.ready()
  return { app, fake }
}

await t.test('what happens to jobs is counted once each', async (t) => {
  const { app } = await open(t, { failStarts: 1, output: 'hello\n' })
  const { job } = await submit(app, {})
  await toEnd(app, job)
  const { job: dependent } = await submit(app, { dependsOn: [job.id] })
  await toEnd(app, dependent)
  await app.inject({ method: 'DELETE', url: `/v1/jobs/${job.id}`, headers: asAdmin })
  const found = await samples(app)
  const expected = {
    roost_jobs_accepted_total: 2,
    'roost_jobs_finished_total{state="succeeded"}': 2,
    'roost_placements_total{runtime="fake"}': 3,
    'roost_attempts_total{runtime="fake",outcome="failed"}': 1,
    'roost_attempts_total{runtime="fake",outcome="succeeded"}': 2,
    'roost_frames_appended_total{type="log"}': 2,
    'roost_frames_appended_total{type="result"}': 2,
    'roost_output_bytes_total{stream="stdout"}': 12,
    roost_attempt_start_to_first_log_seconds_count: 2,
    // The first one's first attempt never started.
    roost_job_schedule_to_start_seconds_count: 1,
    'roost_problems_total{code="already-finished"}': 1,
    roost_storage_writable: 1,
    roost_storage_commit_failures_total: 0,
    roost_attempts_running: 0
  }
  t.same(Object.fromEntries(Object.keys(expected).map((name) => [name, found.get(name)])), expected)
  t.ok(found.get('roost_storage_commit_seconds_count')! > 5)
  t.equal(
    found.get('roost_storage_commit_writes_sum')! >= found.get('roost_storage_commit_writes_count')!,
    true
  )
})

await t.test('why jobs wait, and how far readers are behind', async (t) => {
  const { app, fake } = await open(t, { exitCode: null }, { capacity: { slots: 1 } })
  const { job } = await submit(app, {})
  while (fake.running.size === 0) await new Promise((resolve) => setImmediate(resolve))
  await submit(app, {})
  await submit(app, { dependsOn: [job.id] })
  const found = await samples(app)
  t.equal(found.get('roost_queue_depth'), 2)
  t.equal(found.get('roost_jobs_waiting{reason="no-slot"}'), 1)
  t.equal(found.get('roost_jobs_waiting{reason="dependencies"}'), 1)
  t.equal(found.get('roost_attempts_running'), 1)

  // Nobody reads what this stream offers: its first page waits, the log goes on without it.
  const principal = { tokenId: 'reader', name: 'reader', tenant: 'default', scopes: new Set<never>() }
  const gone = new AbortController().signal
  const stream = app.stream.text({ jobId: job.id, principal, follow: true, from: 1 }, gone)
  for (let i = 0; i < 3; i++) {
    const [order] = fake.running.values()
    await fake.say(order!, {
      type: 'output',
      stream: 'stdout',
      bytes: Buffer.from('hello\n'),
      cursor: String(i)
    })
  }
  const lagging = await samples(app)
  t.equal(lagging.get('roost_stream_readers{kind="text"}'), 1)
  t.ok(lagging.get('roost_stream_lag_frames{kind="text"}')! >= 3)
  t.equal(lagging.get('roost_stream_lag_frames{kind="sse"}'), 0)
  stream.destroy()
})

await t.test('of a long queue the reasons of the first are counted, the others as behind them', async (t) => {
  const { app, fake } = await open(t, { exitCode: null }, { capacity: { slots: 1 } })
  const { job } = await submit(app, {})
  while (fake.running.size === 0) await new Promise((resolve) => setImmediate(resolve))
  await Promise.all(Array.from({ length: 205 }, () => submit(app, {})))
  await Promise.all(Array.from({ length: 201 }, () => submit(app, { dependsOn: [job.id] })))
  const found = await samples(app)
  t.same(
    ['no-slot', 'behind', 'dependencies', 'queue'].map((reason) =>
      found.get(`roost_jobs_waiting{reason="${reason}"}`)
    ),
    [200, 5, 201, undefined]
  )
})

await t.test('refusals are counted by what was wrong with who asked', async (t) => {
  const { app } = await open(t, {})
  const ask = async (headers: Record<string, string>, url = '/v1/jobs') =>
    await app.inject({ url, headers: { host: 'localhost', ...headers } })
  const made = await app.inject({
    method: 'POST',
    url: '/v1/tokens',
    headers: asAdmin,
    payload: { name: 'reader', scopes: ['read:jobs'] }
  })
  const { token } = made.json<{ token: string }>()
  await ask({})
  await ask({ authorization: 'Basic eHg6eHg=' })
  await ask({ authorization: 'Bearer nobody-gave-this-out' })
  await ask({ authorization: `Bearer ${token}` }, '/v1/tokens')
  await ask({ ...asAdmin, host: 'elsewhere.example' })
  await ask({ ...asAdmin, origin: 'https://elsewhere.example' })
  const found = await samples(app)
  for (const kind of ['missing', 'malformed', 'unknown', 'scope', 'host', 'origin'])
    t.equal(found.get(`roost_auth_failures_total{kind="${kind}"}`), 1, kind)
  t.equal(found.get('roost_problems_total{code="unauthorized"}'), 3)
})

await t.test(
  'a request has its id and its trace: in the answer, the log, the audit and the job',
  async (t) => {
    const { app, fake } = await open(t, {}, { logLevel: 'debug' })
    const { reply, job } = await submit(app, {}, { traceparent, 'x-request-id': 'mine-1' })
    await toEnd(app, job)
    t.match(reply.headers, { 'x-request-id': 'mine-1', traceparent })
    const lines = app.logLines.map((line) => JSON.parse(line) as Record<string, unknown>)
    const ofRequest = lines.filter(({ message }) => message === 'request')
    t.ok(ofRequest.length > 0)
    for (const line of ofRequest) t.match(line, { requestId: /\S/ })
    t.match(
      ofRequest.find(({ requestId }) => requestId === 'mine-1'),
      { traceId: '0af7651916cd43dd8448eb211c80319c', method: 'POST', path: '/schedule', status: 202 }
    )
    const audit = await app.inject({ url: '/v1/audit?action=job.submit', headers: asAdmin })
    t.match(audit.json(), {
      items: [{ requestId: 'mine-1', detail: { traceId: '0af7651916cd43dd8448eb211c80319c' } }]
    })
    t.equal(fake.started[0]?.env['TRACEPARENT'], traceparent)

    for (const bad of [
      '00-0-0-01',
      '00-00000000000000000000000000000000-b7ad6b7169203331-01',
      'x'.repeat(500)
    ]) {
      const answer = await app.inject({ url: '/livez', headers: { host: 'localhost', traceparent: bad } })
      t.equal(answer.headers['traceparent'], undefined, 'what is no trace context is left out of account')
    }
    const rerun = await app.inject({ method: 'POST', url: `/v1/jobs/${job.id}/rerun`, headers: asAdmin })
    await toEnd(app, rerun.json<Job>())
    t.equal(
      fake.started[1]?.env['TRACEPARENT'],
      undefined,
      'a rerun is not part of the trace of the earlier one'
    )
  }
)

await t.test('what is told of a job in the log has its id and attempt', async (t) => {
  const { app, fake } = await open(t, { throwStarts: 1, exitCode: null })
  const { job } = await submit(app, { retry: { maxAttempts: 2, backoffSeconds: 0 } })
  while (fake.running.size === 0) await new Promise((resolve) => setImmediate(resolve))
  const [order] = fake.running.values()
  // Two words for one start: the second is refused.
  await fake.say(order!, { type: 'started', pod: null })
  const lines = app.logLines.map((line) => JSON.parse(line) as Record<string, unknown>)
  t.ok(lines.length > 0)
  for (const line of lines) t.match(line, { jobId: job.id, attempt: Number })
})

await t.test(
  'without ROOST_OTEL nothing of OpenTelemetry is loaded but what the Prometheus client asks for',
  async (t) => {
    const { app } = await open(t, {})
    t.equal(app.observability.tracing, null)
    const { createRequire } = await import('node:module')
    const loaded = Object.keys(createRequire(import.meta.url).cache)
    t.ok(loaded.some((file) => file.includes('fastify-metrics')))
    t.same(
      loaded.filter((file) => /@opentelemetry\/(?!api\/)|import-in-the-middle/.test(file)),
      []
    )
  }
)
