import { parseArgs } from 'node:util'
import { describeLoad, describeMachine, median, quantile } from './measure.ts'
import { toTable, writeSection, type BenchReport } from './report.ts'
import { torture } from './torture-run.ts'

const usage = `npm run torture -- [--jobs 1000] [--kills 8] [--suspend 60] [--database-url URL] [--write]

Compresses and hashes real files in so many jobs while the service is killed with -9, then reads everything back.
  --suspend  seconds for which the service and its jobs stand still (SIGSTOP), halfway; default: not at all
  --database-url  postgres://…, an empty database or schema; default: SQLite
  --write    puts the figures into bench/RESULTS.md`

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    kills: { type: 'string', default: '8' },
    suspend: { type: 'string', default: '0' },
    'database-url': { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})
const [jobs, kills, suspendSeconds] = [Number(values.jobs), Number(values.kills), Number(values.suspend)]
if (
  values.help ||
  ![jobs, kills, suspendSeconds].every((value) => Number.isInteger(value) && value >= 0) ||
  jobs === 0
) {
  process.stderr.write(`${usage}\n`)
  process.exit(values.help ? 0 : 64)
}

const databaseUrl = values['database-url']
const dialect = databaseUrl === undefined ? '' : ' (Postgres)'
const [machine, load] = [describeMachine(), describeLoad()]
process.stdout.write(`${machine}\n`)
const result = await torture({
  jobs,
  kills,
  ...(suspendSeconds === 0 ? {} : { suspendMs: suspendSeconds * 1000 }),
  ...(databaseUrl === undefined ? {} : { databaseUrl }),
  onEvent: (line) => void process.stdout.write(`${line}\n`)
})
const report: BenchReport = {
  name: databaseUrl === undefined ? 'torture' : 'torture-postgres',
  title: `torture: real jobs while the service is killed with -9${dialect}`,
  method: `${jobs.toLocaleString('en')} jobs, each of which notes its start in a journal, compresses a file of the installed packages and hashes it; ${kills} kills with -9, just after a submit was sent or a job was accepted, started, had printed or had finished; restarts on the same port and data directory${suspendSeconds === 0 ? '' : `; halfway the service and its jobs stood still for ${suspendSeconds} s (SIGSTOP)`}. A fault is anything that was lost, doubled or wrong: a job not succeeded in one attempt, a result that is not the one computed directly, a journal line missing or twice, an Idempotency-Key forgotten, a stream with a hole or unlike what was seen live.`,
  figures: [
    { what: 'faults', value: result.faults.length, unit: '', bar: 'torture.faults' },
    { what: 'jobs', value: result.jobs, unit: '' },
    { what: 'kills', value: result.kills, unit: '' },
    { what: 'jobs that were running at a kill', value: result.ranThroughKill, unit: '' },
    { what: 'submits sent again', value: result.resubmits, unit: '' },
    { what: 'of them already accepted', value: result.replayed, unit: '' },
    { what: 'streams taken up again', value: result.resumes, unit: '' },
    { what: 'frames', value: result.frames, unit: '' },
    ...(result.restartMs.length === 0
      ? []
      : [
          { what: 'ready after a kill, p50', value: median(result.restartMs), unit: 'ms' },
          { what: 'ready after a kill, worst', value: quantile(result.restartMs, 1), unit: 'ms' }
        ]),
    { what: 'the whole batch', value: result.seconds, unit: 's' }
  ]
}
process.stdout.write(`\n${report.title} (${load})\n\n${toTable(report)}\n`)
for (const fault of result.faults.slice(0, 50)) process.stdout.write(`  ${fault}\n`)
if (values.write)
  writeSection(report, {
    machine,
    load,
    command: `npm run torture -- --jobs ${jobs} --kills ${kills}${suspendSeconds === 0 ? '' : ` --suspend ${suspendSeconds}`}${databaseUrl === undefined ? '' : ' --database-url …'} --write`,
    date: new Date().toISOString().slice(0, 10)
  })
if (result.faults.length > 0) process.exitCode = 1
