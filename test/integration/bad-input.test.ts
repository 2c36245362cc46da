import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { asAdmin, build } from '../build.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

const good = { task: { type: 'test/fake' } }
const nul = JSON.parse('"a\\u0000b"') as string

interface Case {
  what: string
  body?: unknown
  raw?: string
  query?: string
  headers?: Record<string, string>
  status: number
  code: string
  pointer?: string
  says?: RegExp
}

const cases: Case[] = [
  {
    what: 'a field whose name is as long as a body',
    body: { ...good, ['a'.repeat(500_000)]: 1 },
    status: 422,
    code: 'invalid',
    pointer: `/${'a'.repeat(1_023)}…`,
    says: /is no known field/
  },
  {
    what: 'an unknown field',
    body: { ...good, nmae: 'x' },
    status: 422,
    code: 'invalid',
    pointer: '/nmae',
    says: /did you mean "name"/
  },
  {
    what: 'an unknown field deep inside',
    body: { ...good, resources: { cpus: 1 } },
    status: 422,
    code: 'invalid',
    pointer: '/resources/cpus',
    says: /cpu/
  },
  {
    what: 'a wrong type',
    body: { ...good, priority: '7' },
    status: 422,
    code: 'invalid',
    pointer: '/priority',
    says: /integer.*"7"/
  },
  {
    what: 'a fraction for an integer',
    body: { ...good, priority: 1.5 },
    status: 422,
    code: 'invalid',
    pointer: '/priority'
  },
  {
    what: 'cpu: "lots"',
    body: { ...good, resources: { cpu: 'lots' } },
    status: 422,
    code: 'invalid',
    pointer: '/resources/cpu',
    says: /500m.*"lots"/
  },
  {
    what: 'cpu: -1',
    body: { ...good, resources: { cpu: -1 } },
    status: 422,
    code: 'invalid',
    pointer: '/resources/cpu',
    says: />= 0.*-1/
  },
  {
    what: 'a name that is no DNS label',
    body: { ...good, name: 'No Label' },
    status: 422,
    code: 'invalid',
    pointer: '/name'
  },
  { what: 'no task', body: {}, status: 422, code: 'invalid', pointer: '/task', says: /missing/ },
  {
    what: 'a task of no known type',
    body: { task: { type: 'proces', command: ['x'] } },
    status: 422,
    code: 'invalid',
    pointer: '/task/type',
    says: /"process".*"proces"/
  },
  {
    what: 'a process without a command',
    body: { task: { type: 'process', command: [] } },
    status: 422,
    code: 'invalid',
    pointer: '/task/command'
  },
  {
    what: 'a field that another kind of task has',
    body: { task: { type: 'process', command: ['x'], image: 'y' } },
    status: 422,
    code: 'invalid',
    pointer: '/task/image'
  },
  {
    what: 'a relative cwd',
    body: { task: { type: 'process', command: ['x'], cwd: 'here' } },
    status: 422,
    code: 'invalid',
    pointer: '/task/cwd'
  },
  {
    what: 'an environment name with a space',
    body: { ...good, env: { 'A B': '1' } },
    status: 422,
    code: 'invalid',
    pointer: '/env/A B'
  },
  {
    what: 'an In without values',
    body: { ...good, constraints: [{ key: 'arch', operator: 'In' }] },
    status: 422,
    code: 'invalid',
    pointer: '/constraints/0/values'
  },
  {
    what: 'a job that depends on none',
    body: { ...good, dependsOn: ['01hzzzzzzzzzzzzzzzzzzzzzzz'] },
    status: 422,
    code: 'invalid',
    pointer: '/dependsOn/0'
  },
  {
    what: 'a dependency that is a path',
    body: { ...good, dependsOn: ['../../etc/passwd'] },
    status: 422,
    code: 'invalid',
    pointer: '/dependsOn/0'
  },
  {
    what: 'a NUL byte',
    body: { ...good, env: { A: nul } },
    status: 422,
    code: 'invalid',
    pointer: '/env/A',
    says: /NUL/
  },
  {
    what: 'a NUL byte in an argument',
    body: { task: { type: 'process', command: ['echo', nul] } },
    status: 422,
    code: 'invalid',
    pointer: '/task/command/1',
    says: /NUL/
  },
  {
    what: 'a key that is there twice',
    raw: '{"task":{"type":"test/fake"},"priority":1,"priority":2}',
    status: 422,
    code: 'invalid',
    pointer: '/priority',
    says: /twice/
  },
  {
    what: 'a twin in disguise',
    raw: '{"task":{"type":"test/fake","t\\u0079pe":"x"}}',
    status: 422,
    code: 'invalid',
    pointer: '/task/type',
    says: /twice/
  },
  {
    what: 'deep JSON',
    raw: `{"task":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
    status: 422,
    code: 'invalid',
    says: /64 levels/
  },
  { what: 'JSON cut short', raw: '{"task":', status: 400, code: 'malformed' },
  { what: 'an empty body', raw: '', status: 400, code: 'malformed', says: /empty/ },
  { what: 'no JSON at all', raw: 'hello', status: 400, code: 'malformed' },
  { what: 'an array', raw: '[]', status: 422, code: 'invalid', says: /object/ },
  { what: 'null', raw: 'null', status: 422, code: 'invalid', says: /object/ },
  {
    what: 'a 5 MB body',
    raw: JSON.stringify({ ...good, env: { A: 'x'.repeat(5_000_000) } }),
    status: 413,
    code: 'too-large'
  },
  {
    what: 'half a character',
    raw: '{"task":{"type":"test/fake"},"env":{"A":"x\\ud800y"}}',
    status: 422,
    code: 'invalid',
    pointer: '/env/A',
    says: /half a character/
  },
  {
    what: 'an empty program',
    body: { task: { type: 'process', command: [''] } },
    status: 422,
    code: 'invalid',
    pointer: '/task/command/0'
  },
  {
    what: 'another charset',
    body: good,
    headers: { 'content-type': 'application/json; charset=utf-16' },
    status: 415,
    code: 'unsupported-media-type'
  },
  {
    what: 'a compressed body',
    body: good,
    headers: { 'content-encoding': 'gzip' },
    status: 415,
    code: 'unsupported-media-type'
  },
  {
    what: 'a dry run of a job that could not be submitted',
    body: { ...good, dependsOn: ['01hzzzzzzzzzzzzzzzzzzzzzzz'] },
    query: '?dryRun=true',
    status: 422,
    code: 'invalid',
    pointer: '/dependsOn/0'
  },
  {
    what: 'YAML',
    raw: 'task: {}',
    headers: { 'content-type': 'application/yaml' },
    status: 415,
    code: 'unsupported-media-type'
  },
  {
    what: 'an Idempotency-Key of 10 KB',
    body: good,
    headers: { 'idempotency-key': 'k'.repeat(10_240) },
    status: 422,
    code: 'invalid',
    pointer: '/idempotency-key',
    says: /255/
  },
  {
    what: 'an empty Idempotency-Key',
    body: good,
    headers: { 'idempotency-key': '""' },
    status: 422,
    code: 'invalid',
    pointer: '/idempotency-key'
  },
  {
    what: 'an empty Idempotency-Key of a dry run, which uses none',
    body: good,
    query: '?dryRun=true',
    headers: { 'idempotency-key': '""' },
    status: 422,
    code: 'invalid',
    pointer: '/idempotency-key'
  },
  {
    what: 'a query nobody knows',
    body: good,
    query: '?dryrun=true',
    status: 422,
    code: 'invalid',
    pointer: '/dryrun',
    says: /dryRun/
  },
  {
    what: 'more GPUs than there ever are',
    body: { ...good, resources: { gpu: 900 } },
    status: 422,
    code: 'unplaceable',
    says: /gpu/i
  },
  {
    what: 'artifacts, which this version lacks',
    body: { ...good, outputs: ['dist/**'] },
    status: 422,
    code: 'invalid',
    pointer: '/outputs'
  }
]

await t.test('bad input', async (t) => {
  const fake = createFakeRuntime()
  const app = await build(t, { process: 'off' }, { runtimes: [fake.runtime] })
  await app.ready()
  for (const { what, body, raw, query = '', headers = {}, status, code, pointer, says } of cases) {
    await t.test(`${what} is refused in words`, async (t) => {
      const response = await app.inject({
        method: 'POST',
        url: `/schedule${query}`,
        payload: raw ?? JSON.stringify(body),
        headers: { ...asAdmin, 'content-type': 'application/json', ...headers }
      })
      const problem = response.json<{
        code: string
        detail: string
        errors?: { pointer: string; message: string }[]
      }>()
      t.equal(response.statusCode, status, response.body.slice(0, 300))
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.equal(problem.code, code)
      if (pointer !== undefined)
        t.ok(
          problem.errors?.some((error) => error.pointer === pointer),
          `${JSON.stringify(problem.errors)} names ${pointer}`
        )
      if (says !== undefined)
        t.match(`${problem.detail} ${problem.errors?.map((error) => error.message).join(' ') ?? ''}`, says)
    })
  }
  await t.test('every field at fault is named at once', async (t) => {
    const response = await app.inject({
      method: 'POST',
      url: '/schedule',
      headers: asAdmin,
      payload: { ...good, priority: 101, nmae: 'x', resources: { cpu: 'x', memory: -1 } }
    })
    t.same(
      response
        .json<{ errors: { pointer: string }[] }>()
        .errors.map((error) => error.pointer)
        .sort(),
      ['/nmae', '/priority', '/resources/cpu', '/resources/memory']
    )
  })
  await t.test('nothing of it was stored', async (t) => {
    const response = await app.inject({ url: '/v1/jobs', headers: asAdmin })
    t.same(response.json(), { items: [], cursor: null })
    t.equal(fake.started.length, 0)
  })
})

await t.test('paths and methods', async (t) => {
  const app = await build(t, { process: 'off' })
  await app.ready()
  const ask = async (method: 'GET' | 'POST' | 'DELETE' | 'PUT', url: string) =>
    await app.inject({ method, url, headers: asAdmin })
  for (const [method, url, status, code] of [
    ['GET', '/nowhere', 404, 'not-found'],
    ['GET', '/v1/jobs/..%2f..%2fetc%2fpasswd', 404, 'job-not-found'],
    ['GET', '/v1/jobs/%00', 404, 'job-not-found'],
    ['GET', '/v1/jobs/%zz', 404, 'not-found'],
    ['GET', `/v1/jobs/${'x'.repeat(3000)}`, 404, 'not-found'],
    ['GET', '/v1/jobs/01hzzzzzzzzzzzzzzzzzzzzzzz', 404, 'job-not-found'],
    ['DELETE', '/v1/jobs/01hzzzzzzzzzzzzzzzzzzzzzzz', 404, 'job-not-found'],
    ['GET', '/stream/not-an-id', 404, 'job-not-found'],
    ['DELETE', '/v1/tokens/%00', 404, 'not-found'],
    ['DELETE', '/v1/jobs/01hzzzzzzzzzzzzzzzzzzzzzzz?reason=a%00', 422, 'invalid'],
    ['GET', '/v1/jobs?label=a%3D%00', 422, 'invalid'],
    ['GET', '/v1/audit?tenant=%00', 422, 'invalid'],
    ['GET', '/v1/jobs?limit=0', 422, 'invalid'],
    ['GET', '/v1/jobs?state=done', 422, 'invalid'],
    ['GET', '/v1/jobs?cursor=%25%25', 422, 'invalid'],
    ['GET', '/v1/jobs?cursor=zzz', 422, 'invalid'],
    ['POST', '/v1/nodes/elsewhere/drain', 404, 'node-not-found'],
    ['GET', '/schedule', 405, 'method-not-allowed'],
    ['PUT', '/v1/jobs/01hzzzzzzzzzzzzzzzzzzzzzzz', 405, 'method-not-allowed']
  ] as const) {
    await t.test(`${method} ${url.slice(0, 60)} is ${status}`, async (t) => {
      const response = await ask(method, url)
      t.equal(response.statusCode, status, response.body)
      t.match(response.headers['content-type'], /^application\/problem\+json/)
      t.equal(response.json<{ code: string }>().code, code)
      if (status === 405) t.ok(response.headers.allow, 'Allow says what is right')
    })
  }
  await t.test('what Node’s own parser refuses is problem+json too', async (t) => {
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    for (const [sent, status] of [
      ['GARBAGE\r\n\r\n', 400],
      [`GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
      ['GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 421],
      ['GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: wonders\r\n\r\n', 417],
      ['GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n', 404]
    ] as const) {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(sent)
      let text = ''
      for await (const chunk of socket) text += String(chunk)
      t.match(text, new RegExp(`^HTTP/1.1 ${status} `))
      t.match(text, /application\/problem\+json/)
    }
  })
})
