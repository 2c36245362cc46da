import { parseArgs } from 'node:util'
import { startComponent } from './kit.ts'
import { fuzz } from '../test/fuzz.ts'

// npm run fuzz [-- --minutes 20 --seed 1]: schemathesis of the kit against a service of its own, until the time is over.

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '20' }, seed: { type: 'string' } }
})
const schemathesis =
  process.env['ROOST_KIT_SCHEMATHESIS'] ?? startComponent('tools')?.['ROOST_KIT_SCHEMATHESIS']
if (schemathesis === undefined) throw new Error('The kit has no schemathesis here: see scripts/kit.ts')
const seed = Number(values.seed ?? Math.floor(Date.now() / 1000))
const { cases, operations, findings, output, log } = await fuzz({
  schemathesis,
  minutes: Number(values.minutes),
  seed
})
console.log(output)
if (log.length > 0) console.log(`The service said:\n${log.join('\n')}`)
console.log(
  `${cases} cases over ${operations.tested} of ${operations.selected} operations in ${values.minutes} minutes (seed ${seed}): ${findings} findings`
)
process.exitCode = findings === 0 ? 0 : 1
