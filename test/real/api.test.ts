// kit: tools
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { fuzz } from '../fuzz.ts'
import { startServiceFor } from '../start-service.ts'

const run = promisify(execFile)
const program = (name: string): string => {
  const path = process.env[name]
  if (path === undefined) throw new Error(`${name} is not set: eval "$(../shared/kit/kit up tools)"`)
  return path
}

await t.test(
  'a fuzzer made from the OpenAPI document finds no server error, nothing undocumented and no bad input that is taken',
  { timeout: 300_000 },
  async (t) => {
    const report = await fuzz({
      schemathesis: program('ROOST_KIT_SCHEMATHESIS'),
      minutes: 3,
      seed: Math.floor(Date.now() / 1000),
      folder: t.testdir()
    })
    const told = report.output.slice(-8000)
    t.equal(report.findings, 0, told)
    t.equal(report.operations.tested, report.operations.selected, told)
    t.ok(report.cases > 1000, `${report.cases} cases`)
    t.comment(`${report.cases} cases over ${report.operations.tested} operations`)
    t.notMatch(report.log.join('\n'), /request failed/, 'no fault of Roost')
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
