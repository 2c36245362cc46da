import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { holdOpen } from '../contract/runtime.ts'
import { openProcessRuntime } from '../fixtures/process-runtime.ts'

holdOpen(t)

await t.test('exit codes and signals are told apart', async (t) => {
  const { run } = await openProcessRuntime(t)
  for (const code of [0, 1, 127, 130, 137, 143, 255]) {
    t.match(
      (await run(`exit ${code}`)).last,
      { type: 'exited', exitCode: code, signal: null, cause: null },
      `exit ${code}`
    )
  }
  for (const signal of ['KILL', 'TERM', 'HUP', 'SEGV', 'USR1']) {
    t.match(
      (await run(`kill -${signal} $$`)).last,
      { type: 'exited', exitCode: null, signal: `SIG${signal}`, cause: null },
      signal
    )
  }
})

await t.test('a job gets an environment made from nothing', async (t) => {
  process.env.SERVICE_SECRET = 'of the service'
  t.teardown(() => delete process.env.SERVICE_SECRET)
  const { run, dataDir } = await openProcessRuntime(t, { baseEnv: { EXTRA: 'x' }, hasGpus: true })
  const env = { TOKEN: `it's "quoted"\n$(echo no)`, EMPTY: '', OPTIND: 'no number', TRACEPARENT: '00-1-2-01' }
  const { stdout, order } = await run({ command: ['env', '-0'] }, { env })
  const seen = Object.fromEntries(
    stdout
      .split('\0')
      .slice(0, -1)
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])
  )
  const { PATH, HOME, USER, LOGNAME, PWD, ...others } = seen
  t.ok(PATH && HOME && USER && LOGNAME)
  t.equal(PWD, join(dataDir, 'attempts', order.name))
  t.same(others, {
    ...env,
    EXTRA: 'x',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    CUDA_VISIBLE_DEVICES: '',
    ROOST_JOB_ID: order.jobId,
    ROOST_ATTEMPT: '1'
  })
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.name.endsWith('.stdout')
  )
  t.ok(files.length > 0)
  for (const file of files)
    t.notMatch(
      readFileSync(join(file.parentPath, file.name), 'utf8'),
      'quoted',
      `${file.name} holds no secret`
    )
  t.match((await run('echo "$CUDA_VISIBLE_DEVICES"', { gpus: [0, 2] })).stdout, '0,2')
})

await t.test('any arguments and variables arrive as they are', async (t) => {
  const { run } = await openProcessRuntime(t)
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom('', '-n', '--', "'", '"', '\\', '$x', '`x`', 'a\nb\n', '; fi', '€\u{1F600}')
  )
  const clean = text.map((value) => Buffer.from(value.replaceAll('\0', ' ')).toString())
  await fc.assert(
    fc.asyncProperty(fc.array(clean, { maxLength: 6 }), clean, async (args, value) => {
      const { stdout } = await run(
        { command: ['sh', '-c', 'printf "%s\\0" "$VALUE" "$@"', 'sh', ...args] },
        { env: { VALUE: value } }
      )
      t.same(stdout.split('\0').slice(0, -1), [value, ...args])
    }),
    { numRuns: 25 }
  )
})

await t.test('cwd and stdin', async (t) => {
  const { run } = await openProcessRuntime(t)
  const cwd = t.testdir({ 'a folder': { 'tool.sh': '#!/bin/sh\npwd\n' } })
  t.equal((await run({ command: ['pwd'], cwd: join(cwd, 'a folder') })).stdout, `${join(cwd, 'a folder')}\n`)
  t.equal(
    (await run({ command: ['sha256sum'], stdin: 'ünïcode\n'.repeat(20_000) })).stdout.slice(0, 64),
    createHash('sha256').update('ünïcode\n'.repeat(20_000)).digest('hex')
  )
  t.equal((await run('cat; echo end')).stdout, 'end\n', 'without stdin there is an empty one')
})

await t.test('output of any bytes comes exactly, each stream for itself', async (t) => {
  const { run, recorder } = await openProcessRuntime(t)
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7 + (i >> 8)) % 256))
  const file = join(t.testdir(), 'bytes')
  writeFileSync(file, bytes)
  const { order } = await run(`cat '${file}'; cat '${file}' >&2`)
  for (const stream of ['stdout', 'stderr']) {
    const chunks = recorder.observations.flatMap((o) =>
      o.type === 'output' && o.name === order.name && o.stream === stream ? [o.bytes] : []
    )
    t.ok(Buffer.concat(chunks).equals(bytes), stream)
    t.ok(chunks.every((chunk) => chunk.length <= 48 * 1024))
  }
})

await t.test('what cannot start says why and what would help', async (t) => {
  const { run, runtime } = await openProcessRuntime(t)
  const dir = t.testdir({ plain: 'text', orphan: '#!/no/such/interpreter\n' })
  for (const [task, code] of [
    [{ command: ['no-such-program'] }, 'command-not-found'],
    [{ command: ['/no/such/program'] }, 'command-not-found'],
    [{ command: [join(dir, 'plain')] }, 'not-executable'],
    [{ command: [dir] }, 'not-executable'],
    [{ command: ['true'], cwd: '/no/such/folder' }, 'cwd-missing'],
    [{ command: ['true'], cwd: join(dir, 'plain') }, 'cwd-missing'],
    [{ command: ['echo', 'a\0b'] }, 'invalid-argument'],
    [{ command: ['echo', 'x'.repeat(140_000)] }, 'arguments-too-long']
  ] as const) {
    const { last } = await run({ command: [...task.command], ...('cwd' in task ? { cwd: task.cwd } : {}) })
    t.match(last, { type: 'start-failed', code, retriable: false }, code)
  }
  writeFileSync(join(dir, 'orphan'), '#!/no/such/interpreter\n', { mode: 0o755 })
  t.match((await run({ command: [join(dir, 'orphan')] })).last, {
    type: 'start-failed',
    code: /command-not-found|not-executable/
  })
  t.same(await runtime.list(), [])
})
