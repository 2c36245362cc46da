import t from 'tap'
import { asAdmin, build } from '../build.ts'

type Json = Record<string, unknown>

/** Every `$ref` in the document that leads nowhere within it. */
function deadReferences(document: Json): string[] {
  const dead: string[] = []
  const walk = (value: unknown): void => {
    if (value === null || typeof value !== 'object') return
    const reference = (value as { $ref?: unknown }).$ref
    if (typeof reference === 'string') {
      const target = reference
        .slice(2)
        .split('/')
        .reduce<unknown>((at, key) => (at as Json | undefined)?.[key], document)
      if (!reference.startsWith('#/') || target === undefined) dead.push(reference)
    }
    Object.values(value).forEach(walk)
  }
  walk(document)
  return dead
}

/** @fastify/swagger writes a constant as an enum of one, which says the same. */
const withEnums = (schema: unknown): unknown =>
  JSON.parse(JSON.stringify(schema ?? null).replaceAll(/"const":("[^"]*")/g, '"enum":[$1]'))

await t.test('the documents come from the same schemas, are whole, and need no token', async (t) => {
  const app = await build(t, { process: 'off' })
  await app.ready()
  const get = async (url: string) => await app.inject({ url, headers: { host: 'localhost' } })

  const openapi = (await get('/openapi.json')).json<{
    openapi: string
    paths: Record<string, Record<string, { operationId?: string; summary?: string }>>
    components: { schemas: Json }
  }>()
  t.equal(openapi.openapi, '3.1.0')
  t.same(deadReferences(openapi), [])
  for (const name of [
    'Job',
    'JobSpec',
    'Problem',
    'Frame',
    'StatusFrame',
    'LogFrame',
    'ResultFrame',
    'ErrorFrame',
    'HeartbeatFrame'
  ]) {
    t.ok(name in openapi.components.schemas, name)
  }
  const operations = Object.values(openapi.paths).flatMap((methods) => Object.values(methods))
  t.equal(
    new Set(operations.map(({ operationId }) => operationId)).size,
    operations.length,
    'each has a name of its own'
  )
  t.same(
    operations.filter(({ summary }) => summary === undefined),
    []
  )

  const asyncapi = (await get('/asyncapi.json')).json<{
    asyncapi: string
    channels: Record<string, { address: string }>
    components: { schemas: Record<string, Json> }
  }>()
  t.match(asyncapi, { asyncapi: '3.0.0', channels: { jobStream: { address: '/stream/{id}' } } })
  t.same(deadReferences(asyncapi), [])
  for (const [name, schema] of Object.entries(asyncapi.components.schemas)) {
    t.same(
      withEnums(schema['properties']),
      (openapi.components.schemas[name] as Json)['properties'],
      `${name} is the same in both`
    )
  }

  t.match((await get('/docs')).body, /swagger-ui/)
  t.match((await get('/docs/errors')).body, /job-not-found/)
  t.equal((await get('/')).headers['location'], '/docs')
})

await t.test('the metrics need a token, unless they have a port of their own', async (t) => {
  const app = await build(t, { process: 'off', metricsPort: 0 })
  await app.ready()
  t.equal((await app.inject({ url: '/metrics', headers: { host: 'localhost' } })).statusCode, 401)
  const { body } = await app.inject({ url: '/metrics', headers: asAdmin })
  for (const name of ['roost_queue_depth', 'roost_attempts_running', 'roost_stream_readers']) {
    t.match(body, new RegExp(`^${name}`, 'm'))
  }
})
