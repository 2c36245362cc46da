// kit: tools
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startServiceFor } from '../start-service.ts'

const run = promisify(execFile)
const program = (name: string): string => {
  const path = process.env[name]
  if (path === undefined) throw new Error(`${name} is not set: eval "$(../shared/kit/kit up tools)"`)
  return path
}

await t.test(
  'a fuzzer made from the OpenAPI document finds no server error and no reply against the document',
  { timeout: 150_000 },
  async (t) => {
    const service = await startServiceFor(t, { env: { ROOST_PROCESS: 'off' } })
    const folder = t.testdir()
    const { stdout } = await run(
      program('ROOST_KIT_SCHEMATHESIS'),
      [
        'run',
        `${service.url}/openapi.json`,
        '-H',
        `Authorization: Bearer ${service.token}`,
        '--phases',
        'coverage,fuzzing',
        '--max-examples',
        '10',
        '--seed',
        '1',
        '--checks',
        'not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance',
        // A backup writes where it is told to, a stream ends with its job, and a drained node answers 503 by design.
        '--exclude-path-regex',
        'backup|stream|events|drain'
      ],
      { cwd: folder, timeout: 120_000 }
    ).catch((error: Error & { stdout?: string }) => ({ stdout: error.stdout ?? error.message }))
    t.match(stdout, /(\d+) generated, \1 passed/, stdout.slice(-4000))
  }
)

await t.test('promtool accepts the metrics', async (t) => {
  const service = await startServiceFor(t, {})
  const response = await fetch(`${service.url}/metrics`, {
    headers: { authorization: `Bearer ${service.token}` }
  })
  const file = join(t.testdir(), 'metrics')
  await writeFile(file, await response.text())
  const { stderr } = await run('sh', [
    '-c',
    `"$1" check metrics < "$2"`,
    'sh',
    program('ROOST_KIT_PROMTOOL'),
    file
  ]).catch((error: { stderr: string }) => error)
  // The client library names some of Node's own metrics against the rules; ours are held to them.
  t.same(
    stderr.split('\n').filter((line) => line !== '' && !line.startsWith('nodejs_')),
    []
  )
})
