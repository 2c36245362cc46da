// kit: tools
import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import type { Job } from '../../src/schemas/job.ts'
import { startCollector, type CollectedSpan } from '../start-collector.ts'
import { startServiceFor, type Service } from '../start-service.ts'

const program = process.env['ROOST_KIT_OTELCOL'] ?? ''
const traced = (collector: { url: string }): Record<string, string> => ({
  ROOST_OTEL: 'on',
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  OTEL_BSP_SCHEDULE_DELAY: '50',
  OTEL_SERVICE_NAME: 'roost-test',
  OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test'
})
const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', id: 'b7ad6b7169203331' }
const traceparent = `00-${caller.traceId}-${caller.id}-01`

async function call(
  service: Service,
  path: string,
  { headers = {}, ...init }: { method?: string; body?: string; headers?: Record<string, string> } = {}
): Promise<Response> {
  return await fetch(`${service.url}${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${service.token}`,
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers
    }
  })
}

async function submit(service: Service, script: string, headers: Record<string, string> = {}): Promise<Job> {
  const response = await call(service, '/schedule', {
    method: 'POST',
    headers,
    body: JSON.stringify({ task: { type: 'process', command: ['sh', '-c', script] } })
  })
  return (await response.json()) as Job
}

const named = (name: string, jobId: string) => (span: CollectedSpan) =>
  span.name === name && span.attributes['roost.job.id'] === jobId && span.status !== ''

await t.test('the spans of a job: the request, its acceptance, and over the queue its attempt', async (t) => {
  const collector = await startCollector(program)
  t.teardown(() => collector.end())
  const service = await startServiceFor(t, { env: traced(collector) })
  const job = await submit(service, 'echo "$TRACEPARENT"', { traceparent })

  const accept = await collector.span(named('job.accept', job.id), 'job.accept')
  const attempt = await collector.span(named('job.attempt', job.id), 'job.attempt')
  const request = await collector.span(
    (span) => span.name === 'POST /schedule' && span.status !== '',
    'request'
  )
  const handler = await collector.span((span) => span.id === accept.parentId, 'parent of job.accept')
  t.match(request, { traceId: caller.traceId, parentId: caller.id, kind: 'SPAN_KIND_SERVER' })
  t.match(request.attributes, { 'http.route': '/schedule', 'http.response.status_code': '202' })
  t.match(handler, { name: 'request handler - jobRoutes', parentId: request.id })
  t.equal(accept.traceId, caller.traceId)

  t.not(attempt.traceId, caller.traceId, 'the attempt is a trace of its own')
  const link = { traceId: accept.traceId, id: accept.id }
  for (const name of ['job.place', 'job.start', 'job.finish']) {
    const span = await collector.span(named(name, job.id), name)
    t.match(span, { traceId: attempt.traceId, parentId: attempt.id, links: [link] }, name)
  }
  t.match(attempt, { links: [link], attributes: { 'roost.outcome': 'succeeded', 'roost.exit_code': '0' } })
  const printed = await (await call(service, `/v1/jobs/${job.id}/logs?follow=true`)).text()
  t.equal(printed, `00-${attempt.traceId}-${attempt.id}-01\n`, "the job's own spans hang below its attempt")
  t.match(collector.text, /service\.name: Str\(roost-test\)/)
  t.match(collector.text, /deployment\.environment: Str\(test\)/)

  const failed = await submit(service, 'exit 3')
  t.match(await collector.span(named('job.attempt', failed.id), 'failed attempt'), {
    status: 'STATUS_CODE_ERROR',
    attributes: { 'roost.exit_code': '3' }
  })
})

await t.test('a restart in the middle of a job changes neither its trace nor its links', async (t) => {
  const collector = await startCollector(program)
  t.teardown(() => collector.end())
  const service = await startServiceFor(t, { env: traced(collector) })
  const job = await submit(service, 'mkfifo go; read line < go', { traceparent })
  const start = await collector.span(named('job.start', job.id), 'job.start')
  await service.kill('SIGKILL')
  await service.restart()
  t.equal((await call(service, `/v1/jobs/${job.id}`, { method: 'DELETE' })).status, 202, 'it still runs')
  const attempt = await collector.span(named('job.attempt', job.id), 'job.attempt of the second service')
  const accept = await collector.span(named('job.accept', job.id), 'job.accept')
  t.match(attempt, { traceId: start.traceId, id: start.parentId, links: [{ id: accept.id }] })
})

await t.test('streams have spans too: the WebSocket, server-sent events, and a refused one', async (t) => {
  const collector = await startCollector(program)
  t.teardown(() => collector.end())
  const service = await startServiceFor(t, { env: traced(collector) })
  const job = await submit(service, 'echo hello')
  const socket = new WebSocket(`${service.url.replace('http', 'ws')}/stream/${job.id}`, {
    headers: { authorization: `Bearer ${service.token}`, traceparent }
  })
  await once(socket, 'close')
  await (
    await call(service, `/v1/jobs/${job.id}/events?token=in-a-query`, { headers: { traceparent } })
  ).text()
  t.equal((await call(service, '/v1/jobs/nothing', { headers: { traceparent } })).status, 404)

  const stream = await collector.span(named('GET /stream/:id', job.id), 'span of the WebSocket')
  t.match(stream, {
    traceId: caller.traceId,
    parentId: caller.id,
    attributes: { 'roost.close_code': '1000' }
  })
  await collector.span(
    ({ name, traceId, status }) =>
      name === 'GET /v1/jobs/:id/events' && traceId === caller.traceId && status !== '',
    'span of the events'
  )
  t.match(
    await collector.span(
      ({ name, status }) => name === 'GET /v1/jobs/:id' && status !== '',
      'refused request'
    ),
    { attributes: { 'http.response.status_code': '404' } }
  )
  t.notMatch(collector.text, /in-a-query/, 'query strings are not told')
})

await t.test(
  'a collector that is gone costs nothing; one that is back gets spans',
  { timeout: 60_000 },
  async (t) => {
    const first = await startCollector(program)
    const port = Number(new URL(first.url).port)
    await first.end()
    const service = await startServiceFor(t, {
      env: {
        ...traced(first),
        OTEL_EXPORTER_OTLP_TIMEOUT: '300',
        OTEL_BSP_MAX_QUEUE_SIZE: '64',
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '32'
      }
    })
    for (let i = 0; i < 50; i++) t.equal((await submit(service, 'true')).state, 'queued')
    const warnings = () => service.lines.filter((line) => line.includes('the collector takes no spans'))
    while (warnings().length === 0) await (await call(service, '/v1/jobs')).text()

    const second = await startCollector(program, port)
    t.teardown(() => second.end())
    let job = await submit(service, 'true')
    const isBack = () => service.lines.some((line) => line.includes('the collector takes spans again'))
    while (!isBack()) job = await submit(service, 'true')
    job = await submit(service, 'true')
    await second.span(named('job.attempt', job.id), 'job.attempt')
    t.equal(warnings().length, 1, 'said once')

    await second.end()
    await submit(service, 'true')
    const began = performance.now()
    await service.kill('SIGTERM')
    t.ok(
      performance.now() - began < 3_000,
      `a stop is not held up: ${Math.round(performance.now() - began)} ms`
    )
  }
)
