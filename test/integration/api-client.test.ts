import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import openapiTS, { astToString } from 'openapi-typescript'
import t from 'tap'
import ts from 'typescript'
import { build, testToken } from '../build.ts'

/** A stranger's program: every kind of operation, and what the types must refuse. */
const program = `
import createClient from 'openapi-fetch'
import type { components, paths } from "./api.ts"

type Job = components['schemas']['Job']

export async function use(baseUrl: string, token: string) {
  const client = createClient<paths>({ baseUrl, headers: { authorization: \`Bearer \${token}\` } })

  // A body, an answer, a problem with its codes.
  const submitted = await client.POST('/schedule', {
    params: { query: { dryRun: true } },
    body: { task: { type: 'process', command: ['true'] }, resources: { cpu: 0.5 }, env: { A: 'b' } }
  })
  const placement: components['schemas']['Placement'] | Job | undefined = submitted.data
  const refused = await client.POST('/schedule', { body: { task: { type: 'process', command: [] } } })
  const code: string | undefined = refused.error?.code
  if (refused.error?.code === 'unplaceable') console.log(refused.error.detail)

  // A list with a query; a path parameter; an answer without a body; text.
  const list = await client.GET('/v1/jobs', { params: { query: { state: 'queued', limit: 10 } } })
  const jobs: Job[] | undefined = list.data?.items
  const states: Job['state'][] | undefined = jobs?.map((job) => job.state)
  const one = await client.GET('/v1/jobs/{id}', { params: { path: { id: '0' } } })
  const reason: string | null | undefined = one.data?.reason
  const removed = await client.DELETE('/v1/jobs/{id}', {
    params: { path: { id: '0' }, query: { purge: true } }
  })
  const logs = await client.GET('/v1/jobs/{id}/logs', {
    params: { path: { id: '0' }, query: { tail: 1 } },
    parseAs: 'text'
  })
  const text: string | undefined = logs.data
  const put = await client.PUT('/v1/secrets/{name}', {
    params: { path: { name: 'key' } },
    body: { value: 's3cret' }
  })
  const health = await client.GET('/health')
  const status: 'ok' | 'degraded' | 'draining' | 'paused' | undefined = health.data?.status

  // The frames of the stream, told apart by their type.
  const frame = JSON.parse('{"type":"heartbeat","time":"","lastSeq":0}') as components['schemas']['Frame']
  const printed = frame.type === 'log' ? frame.text : ''

  return {
    statuses: [submitted, refused, list, one, removed, logs, put, health].map(({ response }) => response.status),
    code, placement, states, reason, text, status, printed
  }
}

export async function misuse(client: ReturnType<typeof createClient<paths>>) {
  // @ts-expect-error a job needs a task
  await client.POST('/schedule', { body: { name: 'x' } })
  // @ts-expect-error there is no such path
  await client.GET('/v1/jbos')
  // @ts-expect-error the id is missing
  await client.GET('/v1/jobs/{id}')
  // @ts-expect-error a scope that is none
  await client.POST('/v1/tokens', { body: { name: 'x', scopes: ['read'] } })
}
`

await t.test('a client made from the served document compiles in strict mode, and works', async (t) => {
  const app = await build(t, { process: 'off' })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const served = await (await fetch(`${url}/openapi.json`)).text()

  const types = astToString(await openapiTS(served, { defaultNonNullable: false }))
  const committed = readFileSync(new URL('../../src/cli/api.gen.ts', import.meta.url), 'utf8')
  t.equal(committed.slice(committed.indexOf('\n') + 1), types, "the command's types are those of the service")

  const folder = t.testdir()
  await writeFile(join(folder, 'api.ts'), types)
  await writeFile(join(folder, 'client.ts'), program)
  t.same(compile([join(folder, 'api.ts'), join(folder, 'client.ts')]), [])

  const client = (await import(pathToFileURL(join(folder, 'client.ts')).href)) as {
    use(url: string, token: string): Promise<{ statuses: number[]; code: string; status: string }>
  }
  const { statuses, code, status } = await client.use(url, testToken)
  t.same(statuses, [200, 422, 200, 404, 404, 404, 204, 200])
  t.equal(code, 'invalid')
  t.equal(status, 'ok')
})

/** What the compiler objects to, a line each. */
function compile(files: string[]): string[] {
  const compiled = ts.createProgram(files, {
    strict: true,
    noEmit: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    allowImportingTsExtensions: true,
    target: ts.ScriptTarget.ES2024,
    lib: ['lib.es2024.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: []
  })
  return ts.getPreEmitDiagnostics(compiled).map(({ file, start, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1
    return `${file?.fileName ?? ''}:${line} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
}
