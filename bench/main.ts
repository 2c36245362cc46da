import { parseArgs } from 'node:util'
import { describeLoad, describeMachine } from './measure.ts'
import { hasPassed, toTable, writeSection, type BenchReport } from './report.ts'

const usage = `npm run bench -- [NAME…] [--write] [--quick]

Runs the benchmarks of that name, or all of them, each with its baseline in the same run.
  --write   puts the figures into bench/RESULTS.md
  --profile DIR   puts a CPU profile of the service there (accept, process, stream, load)
  --quick   short rounds, for a look while working; the figures are rough`

/** Every bench by name; each is loaded only when it is run. */
const benches: Record<
  string,
  () => Promise<(options: { quick?: boolean; profile?: string }) => Promise<BenchReport>>
> = {
  idle: async () => (await import('./idle.bench.ts')).benchIdle,
  placement: async () => (await import('./placement-report.ts')).reportPlacement,
  accept: async () => (await import('./accept.bench.ts')).benchAccept,
  process: async () => (await import('./process.bench.ts')).benchProcess,
  'fair-share': async () => (await import('./fair-share.bench.ts')).benchFairShare,
  stream: async () => (await import('./stream.bench.ts')).benchStream,
  load: async () => (await import('./load.bench.ts')).benchLoad,
  sizing: async () => (await import('./sizing.bench.ts')).benchSizing
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    write: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false }
  }
})
const unknown = positionals.filter((name) => benches[name] === undefined)
if (values.help || unknown.length > 0 || (values.write && values.quick)) {
  if (unknown.length > 0)
    process.stderr.write(
      `No bench is named ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}.\n`
    )
  else if (!values.help)
    process.stderr.write('Quick figures are not for RESULTS.md: leave out --quick or --write.\n')
  process.stderr.write(`${usage}\n`)
  process.exit(values.help ? 0 : 64)
}

const failed: string[] = []
const machine = describeMachine()
process.stdout.write(`${machine}\n`)
for (const [name, load] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const busy = describeLoad()
  const bench = await load()
  const report = await bench({
    quick: values.quick,
    ...(values.profile === undefined ? {} : { profile: values.profile })
  })
  process.stdout.write(`\n${report.title} (${busy})\n\n${toTable(report)}\n`)
  if (!hasPassed(report)) failed.push(name)
  if (values.write)
    writeSection(report, {
      machine,
      load: busy,
      command: `npm run bench -- ${name} --write`,
      date: new Date().toISOString().slice(0, 10)
    })
}
if (failed.length > 0) {
  process.stderr.write(`\nNot reached: ${failed.join(', ')}\n`)
  process.exitCode = 1
}
