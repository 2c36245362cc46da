// kit: tools
import t from 'tap'
import { fuzz } from '../fuzz.ts'

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
