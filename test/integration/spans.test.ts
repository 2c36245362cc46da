import t from 'tap'
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base'
import { ExportResultCode } from '@opentelemetry/core'
import { startTracing } from '../../src/tracing.ts'

// As the service does it: switched on before anything of Fastify is loaded.
process.env['OTEL_BSP_SCHEDULE_DELAY'] = '10'
const exporter = new InMemorySpanExporter()
let broken = false
const exportAll = exporter.export.bind(exporter)
exporter.export = (spans, done) =>
  broken ? done({ code: ExportResultCode.FAILED, error: new Error('told to fail') }) : exportAll(spans, done)
const tracing = startTracing({ version: '1.2.3', exporter })
const { asAdmin, build, testToken } = await import('../build.ts')
const { rememberSecret } = await import('../../src/redact.ts')

const told = () =>
  exporter
    .getFinishedSpans()
    .map(({ name, attributes, events, status, links }) =>
      JSON.stringify({ name, attributes, events, status, links })
    )

await t.test('no secret gets out by a span, and trouble with the collector is told once', async (t) => {
  const app = await build(t, { process: 'off', logLevel: 'info' }, { tracing })
  const known = 'kanarie-known-17ac'
  rememberSecret(known)
  app.get('/throws', { config: { public: true } }, async () => {
    throw new Error(`a driver said: ${known} of postgres://roost:kanarie-password@db.example/x`)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const ask = async (path: string, headers: Record<string, string> = {}) =>
    await (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).text()
  await ask('/v1/jobs?token=kanarie-query', { authorization: `Bearer ${testToken}` })
  await ask('/v1/jobs', { authorization: 'Bearer kanarie-bearer' })
  await ask('/throws?key=kanarie-query', { 'user-agent': `program/1 ${asAdmin.authorization}` })
  while (!told().some((span) => span.includes('"/throws"') && span.includes('http.response.status_code')))
    await new Promise((resolve) => setTimeout(resolve, 5))
  const spans = told()
  t.ok(
    spans.some((span) => span.includes('a driver said: [redacted]')),
    'the fault is told'
  )
  for (const secret of [known, testToken, 'kanarie-'])
    t.same(
      spans.filter((span) => span.includes(secret)),
      [],
      secret
    )

  const lines = (word: string) => app.logLines.filter((line) => line.includes(word)).length
  broken = true
  while (lines('takes no spans') === 0) await ask('/v1/jobs')
  for (let i = 0; i < 20; i++) await ask('/v1/jobs')
  broken = false
  while (lines('takes spans again') === 0) await ask('/v1/jobs')
  t.equal(lines('takes no spans'), 1)
  const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
  const value = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(body)?.[1])
  t.ok(
    value('roost_trace_spans_total') > value('roost_trace_spans_exported_total'),
    'what was lost can be seen'
  )
})
