import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { catalogue, type ErrorCode } from '../../src/errors.ts'
import { problemsOf, type RouteFacts } from '../../plugins/openapi/problems.ts'
import { asAdmin, build } from '../build.ts'
import { plainNode } from '../plain-node.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))

await t.test('the document passes the strict rules of redocly without a warning', async (t) => {
  const app = await build(t, { process: 'off' })
  const folder = t.testdir()
  const file = join(folder, 'openapi.json')
  writeFileSync(file, (await app.inject({ url: '/openapi.json', headers: { host: 'localhost' } })).body)
  const report = await run(
    plainNode.program,
    [
      ...plainNode.flags,
      join(root, 'node_modules/@redocly/cli/bin/cli.js'),
      'lint',
      '--config',
      join(root, 'redocly.yaml'),
      '--format',
      'json',
      file
    ],
    { env: { PATH: process.env['PATH'], REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' } }
  ).catch((error: { stdout: string; stderr: string }) => error)
  t.match(
    JSON.parse(report.stdout),
    { totals: { errors: 0, warnings: 0, ignored: 0 }, problems: [] },
    report.stdout.slice(0, 4000)
  )
  // A rule that is misspelt or not used is told here.
  t.notMatch(report.stderr, /config has|Unused rules/)
})

await t.test('an operation names every problem that it may answer, each under its status', async (t) => {
  const app = await build(t, { process: 'off' })
  const document = (await app.inject({ url: '/openapi.json', headers: asAdmin })).json<{
    paths: Record<string, Record<string, { responses: Record<string, { $ref?: string }> }>>
  }>()
  const codesOf = (path: string, method: string) =>
    Object.entries(document.paths[path]![method]!.responses).flatMap(([status, { $ref }]) =>
      $ref === undefined
        ? []
        : $ref
            .split('/')
            .at(-1)!
            .split('.')
            .map((code) => [Number(status), code] as const)
    )
  for (const [status, code] of codesOf('/schedule', 'post'))
    t.equal(catalogue[code as ErrorCode][0], status, code)
  const accept = codesOf('/schedule', 'post').map(([, code]) => code)
  for (const code of ['unauthorized', 'malformed', 'invalid', 'unplaceable', 'rate-limited', 'draining'])
    t.ok(accept.includes(code), code)
  const probe = codesOf('/livez', 'get').map(([, code]) => code)
  for (const code of [
    'unauthorized',
    'overloaded',
    'rate-limited',
    'storage-unavailable',
    'misdirected-request'
  ])
    t.notOk(probe.includes(code), `a probe never answers ${code}`)
})

await t.test('a request that comes while the service stops is refused as a problem', async (t) => {
  const app = await build(t, { process: 'off' })
  let url = ''
  let late: Response | undefined
  app.addHook('preClose', async () => {
    late = await fetch(`${url}/v1/jobs`)
  })
  url = await app.listen({ port: 0, host: '127.0.0.1' })
  await app.close()
  t.equal(late?.status, 503)
  t.match(late?.headers.get('content-type'), /^application\/problem\+json/)
  t.equal(late?.headers.get('connection'), 'close')
  t.match(await late?.json(), { code: 'draining', status: 503 })
})

await t.test('what a route says of itself decides which problems it has in common with others', async (t) => {
  const plain: RouteFacts = {
    method: 'GET',
    scope: undefined,
    isProbe: false,
    hasParams: false,
    isValidated: false,
    own: []
  }
  const added = (change: Partial<RouteFacts>) =>
    problemsOf({ ...plain, ...change }).filter((code) => !problemsOf(plain).includes(code))
  t.same(added({ scope: 'admin' }), [
    'unauthorized',
    'forbidden',
    'issuer-unavailable',
    'storage-unavailable'
  ])
  t.same(added({ hasParams: true }), ['not-found'])
  t.same(added({ isValidated: true }), ['invalid'])
  t.same(added({ method: 'POST' }), ['malformed', 'too-large', 'unsupported-media-type', 'invalid'])
  t.same(added({ own: ['name-in-use'] }), ['name-in-use'])
})
