import { runTap } from './run-tap.ts'

// The tests of `./roost test` and `npm test`; FILE... runs only those.
const { passed, failed } = await runTap(process.argv.slice(2))
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
