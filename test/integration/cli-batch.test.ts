import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCli, startCli } from '../start-cli.ts'
import { startServiceFor } from '../start-service.ts'
import { untilFile } from '../until-file.ts'

const service = await startServiceFor(t)
const { dataDir } = service
const batch = (lines: readonly unknown[], ...flags: string[]) =>
  runCli(['run', '--from', '-', ...flags], {
    dataDir,
    input: lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
  })

interface Summary {
  batch: string
  total: number
  succeeded: number
  failed: number
  cancelled: number
  jobs: { line: number; id: string; state: string; exitCode: number | null }[]
}

await t.test('every line is a job; the summary tells how they ended and where to look', async (t) => {
  const lines = [
    ['true'],
    { name: 'bad-one', task: { type: 'process', command: ['sh', '-c', 'exit 3'] } },
    ['sh', '-c', 'exit 0']
  ]
  const { code, stdout } = await batch(lines)
  t.equal(code, 1)
  t.match(stdout, /^3 jobs in \S+: 2 succeeded, 1 failed\n/)
  t.match(stdout, /^ran +\S+ +\S+ +\S+$/m)
  t.match(stdout, /^2 +bad-one +3 +It exited with 3 +roost logs [0-9a-z]{26}$/m)
  t.match(await batch([['true']]), { code: 0, stdout: /^1 job in \S+: 1 succeeded\n/ })
})

await t.test('--json gives the summary with a job for each line', async (t) => {
  const { stdout } = await batch([['true'], '', ['false']], '--json')
  t.match(JSON.parse(stdout), {
    total: 2,
    succeeded: 1,
    failed: 1,
    jobs: [
      { line: 1, state: 'succeeded', exitCode: 0 },
      { line: 3, state: 'failed', exitCode: 1 }
    ]
  })
})

await t.test('with a line that is no job nothing is submitted, unless --skip-invalid says so', async (t) => {
  const before = (await runCli(['ps', '-aq', '--limit', '0'], { dataDir })).stdout
  const lines = [
    ['true'],
    'not json',
    { task: { type: 'process', comand: ['true'] } },
    { task: { type: 'process', command: ['true'] }, priority: 101 }
  ]
  const { code, stderr } = await batch(lines)
  t.equal(code, 64)
  t.match(stderr, /line 2: is not JSON/)
  t.match(stderr, /line 3: \/task\/command is missing.*did you mean "command"/)
  t.match(stderr, /line 4: \/priority must be <= 100/)
  t.equal((await runCli(['ps', '-aq', '--limit', '0'], { dataDir })).stdout, before)
  const skipped = await batch(lines, '--skip-invalid', '--json')
  t.equal(skipped.code, 0)
  t.match(JSON.parse(skipped.stdout), {
    total: 1,
    succeeded: 1,
    failed: 0,
    skipped: [{ line: 2 }, { line: 3 }, { line: 4, message: /priority/ }]
  })
  t.match(await batch(lines, '--skip-invalid'), {
    code: 0,
    stdout: /^1 job in \S+: 1 succeeded; 3 lines left out\n/
  })
  t.match(await batch([['false'], 'not json'], '--skip-invalid'), { code: 1, stdout: /1 line left out/ })
  t.match(await batch(['not json'], '--skip-invalid'), { code: 64, stderr: /nothing was submitted/ })
  const detached = await batch(lines.slice(0, 2), '--skip-invalid', '--detach', '--json')
  t.equal(detached.code, 0)
  t.match(
    detached.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object),
    [
      { line: 1, state: 'accepted' },
      { line: 2, id: null, state: 'skipped' }
    ]
  )
})

await t.test('a batch can be left, found by its label and cancelled', async (t) => {
  const { code, stdout } = await batch(
    [
      ['sleep', '600'],
      ['sleep', '600']
    ],
    '--detach',
    '--idempotency-key',
    'left'
  )
  t.equal(code, 0)
  const ids = stdout.trim().split('\n').sort()
  t.equal(
    (
      await batch(
        [
          ['sleep', '600'],
          ['sleep', '600']
        ],
        '--detach',
        '--idempotency-key',
        'left'
      )
    ).stdout,
    stdout,
    'the same key is the same batch'
  )
  t.same(
    (await runCli(['ps', '-q', '--label', 'roost.dev/batch=left'], { dataDir })).stdout
      .trim()
      .split('\n')
      .sort(),
    ids
  )
  t.match(await runCli(['cancel', '--label', 'roost.dev/batch=left'], { dataDir }), { code: 0 })
  t.equal((await runCli(['wait', ...ids], { dataDir })).code, 130)
})

await t.test('Ctrl-C leaves a batch running; with --rm it cancels it', async (t) => {
  const folder = t.testdir()
  for (const [flags, state] of [
    [[], 'running'],
    [['--rm'], 'cancelled']
  ] as const) {
    writeFileSync(join(folder, 'jobs'), `["sh","-c","touch ${folder}/${state}; exec sleep 600"]\n`)
    const cli = startCli(
      ['run', '--from', join(folder, 'jobs'), '--idempotency-key', `ctrl-c-${state}`, ...flags],
      { dataDir }
    )
    await untilFile(folder, () => existsSync(join(folder, state)))
    cli.child.kill('SIGINT')
    t.match(await cli.ended, {
      code: 130,
      stderr: state === 'running' ? /roost cancel --label/ : /Cancelled/
    })
    const { items } = JSON.parse(
      (await runCli(['ps', '-a', '--json', '--label', `roost.dev/batch=ctrl-c-${state}`], { dataDir })).stdout
    ) as { items: { id: string; state: string; reason: string | null }[] }
    t.match(items, [state === 'running' ? { state } : { reason: /^cancel/ }])
    await runCli(['cancel', items[0]!.id], { dataDir })
  }
})

await t.test('a batch survives kill -9 of the service: every job runs once', async (t) => {
  const folder = t.testdir()
  const count = 90
  const ran = join(folder, 'ran')
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify(['sh', '-c', `echo ${i} >> ${ran}; exit $((${i} % 40 == 39))`])
  ).join('\n')
  writeFileSync(join(folder, 'jobs.ndjson'), lines)
  const cli = startCli(['run', '--from', join(folder, 'jobs.ndjson'), '--json'], { dataDir })
  const done = () => (existsSync(ran) ? readFileSync(ran, 'utf8').split('\n').length - 1 : 0)
  for (const after of [1, 45]) {
    await untilFile(folder, () => done() >= after)
    await service.kill()
    await service.restart()
  }
  const { code, stdout, stderr } = await cli.ended
  t.equal(code, 1, stderr)
  const summary = JSON.parse(stdout) as Summary
  t.match(summary, { total: count, succeeded: count - 2, failed: 2, cancelled: 0 })
  t.same(
    summary.jobs.filter(({ state }) => state === 'failed').map(({ line, exitCode }) => [line, exitCode]),
    [
      [40, 1],
      [80, 1]
    ]
  )
  t.equal(new Set(summary.jobs.map(({ id }) => id)).size, count)
  t.same(
    readFileSync(ran, 'utf8')
      .trim()
      .split('\n')
      .map(Number)
      .sort((a, b) => a - b),
    Array.from({ length: count }, (_, i) => i)
  )
})
