import { existsSync, mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import fc from 'fast-check'
import { createProcessRuntime, type ProcessRuntimeOptions } from '../../plugins/runtimes/process/process.ts'
import type { AttemptOrder } from '../../src/contracts/runtime.ts'
import type { ProcessTask } from '../../src/schemas/job.ts'
import { createRecorder, holdOpen, orderOf } from '../contract/runtime.ts'

holdOpen(t)

async function open(t: Test, options: Partial<ProcessRuntimeOptions> = {}) {
  const dataDir = options.dataDir ?? join(mkdtempSync(join(tmpdir(), 'roost-')), 'data folder, with "signs"')
  const runtime = createProcessRuntime({ dataDir, log: { warn: (details, message) => t.comment(message, details) }, killGraceSeconds: 1, ...options })
  const recorder = createRecorder()
  await runtime.open(recorder.report)
  t.teardown(async () => {
    await runtime.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  /** Runs a command to its end. */
  async function run(task: string | Omit<ProcessTask, 'type'>, more: Partial<AttemptOrder> = {}) {
    const order = orderOf({ type: 'process', ...(typeof task === 'string' ? { command: ['sh', '-c', task] } : task) }, more)
    await runtime.start(order)
    const last = await Promise.race([
      recorder.until('exited', (o) => o.name === order.name), recorder.until('start-failed', (o) => o.name === order.name)
    ])
    return { order, last, stdout: recorder.text(order.name), stderr: recorder.text(order.name, 'stderr') }
  }
  return { runtime, recorder, dataDir, run }
}

/** No such process, or one that has ended and waits to be reaped by init. */
const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}/stat`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))

await t.test('exit codes and signals are told apart', async (t) => {
  const { run } = await open(t)
  for (const code of [0, 1, 127, 130, 137, 143, 255]) {
    t.match((await run(`exit ${code}`)).last, { type: 'exited', exitCode: code, signal: null, cause: null }, `exit ${code}`)
  }
  for (const signal of ['KILL', 'TERM', 'HUP', 'SEGV', 'USR1']) {
    t.match((await run(`kill -${signal} $$`)).last, { type: 'exited', exitCode: null, signal: `SIG${signal}`, cause: null }, signal)
  }
})

await t.test('a job gets an environment made from nothing', async (t) => {
  process.env.SERVICE_SECRET = 'of the service'
  t.teardown(() => delete process.env.SERVICE_SECRET)
  const { run, dataDir } = await open(t, { baseEnv: { EXTRA: 'x' }, hasGpus: true })
  const env = { TOKEN: `it's "quoted"\n$(echo no)`, EMPTY: '', OPTIND: 'no number', TRACEPARENT: '00-1-2-01' }
  const { stdout, order } = await run({ command: ['env', '-0'] }, { env })
  const seen = Object.fromEntries(stdout.split('\0').slice(0, -1).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
  const { PATH, HOME, USER, LOGNAME, PWD, ...others } = seen
  t.ok(PATH && HOME && USER && LOGNAME)
  t.equal(PWD, join(dataDir, 'attempts', order.name, 'work'))
  t.same(others, { ...env, EXTRA: 'x', LANG: 'C.UTF-8', TMPDIR: '/tmp', CUDA_VISIBLE_DEVICES: '', ROOST_JOB_ID: order.jobId, ROOST_ATTEMPT: '1' })
  const files = readdirSync(join(dataDir, 'attempts', order.name), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name !== 'stdout')
  for (const file of files) t.notMatch(readFileSync(join(file.parentPath, file.name), 'utf8'), 'quoted', `${file.name} holds no secret`)
  t.match((await run('echo "$CUDA_VISIBLE_DEVICES"', { gpus: [0, 2] })).stdout, '0,2')
})

await t.test('any arguments and variables arrive as they are', async (t) => {
  const { run } = await open(t)
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.constantFrom('', '-n', '--', "'", '"', '\\', '$x', '`x`', 'a\nb\n', '; fi', '€\u{1F600}'))
  const clean = text.map((value) => Buffer.from(value.replaceAll('\0', ' ')).toString())
  await fc.assert(fc.asyncProperty(fc.array(clean, { maxLength: 6 }), clean, async (args, value) => {
    const { stdout } = await run({ command: ['sh', '-c', 'printf "%s\\0" "$VALUE" "$@"', 'sh', ...args] }, { env: { VALUE: value } })
    t.same(stdout.split('\0').slice(0, -1), [value, ...args])
  }), { numRuns: 25 })
})

await t.test('cwd and stdin', async (t) => {
  const { run } = await open(t)
  const cwd = t.testdir({ 'a folder': { 'tool.sh': '#!/bin/sh\npwd\n' } })
  t.equal((await run({ command: ['pwd'], cwd: join(cwd, 'a folder') })).stdout, `${join(cwd, 'a folder')}\n`)
  t.equal((await run({ command: ['sha256sum'], stdin: 'ünïcode\n'.repeat(20_000) })).stdout.slice(0, 64),
    createHash('sha256').update('ünïcode\n'.repeat(20_000)).digest('hex'))
  t.equal((await run('cat; echo end')).stdout, 'end\n', 'without stdin there is an empty one')
})

await t.test('output of any bytes comes exactly, each stream for itself', async (t) => {
  const { run, recorder } = await open(t)
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7 + (i >> 8)) % 256))
  const file = join(t.testdir(), 'bytes')
  writeFileSync(file, bytes)
  const { order } = await run(`cat '${file}'; cat '${file}' >&2`)
  for (const stream of ['stdout', 'stderr']) {
    const chunks = recorder.observations.flatMap((o) => (o.type === 'output' && o.name === order.name && o.stream === stream ? [o.bytes] : []))
    t.ok(Buffer.concat(chunks).equals(bytes), stream)
    t.ok(chunks.every((chunk) => chunk.length <= 48 * 1024))
  }
})

await t.test('what cannot start says why and what would help', async (t) => {
  const { run, runtime } = await open(t)
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
  t.match((await run({ command: [join(dir, 'orphan')] })).last, { type: 'start-failed', code: /command-not-found|not-executable/ })
  t.same(await runtime.list(), [])
})

await t.test('a full disk refuses the start for now', async (t) => {
  const { run } = await open(t, { diskReserveBytes: 2 ** 60 })
  t.match((await run('true')).last, { type: 'start-failed', code: 'disk-full', retriable: true })
  const budget = await open(t, { diskBudgetBytes: 3 })
  t.match((await budget.run('echo full')).last, { type: 'exited', exitCode: 0 })
  t.match((await budget.run('true')).last, { type: 'start-failed', code: 'disk-full', retriable: true })
})

await t.test('a flood ends at the cap; what is dropped is counted exactly and never on the disk', async (t) => {
  const { run, recorder, dataDir } = await open(t)
  const logCapBytes = 100_000
  const { order, stdout } = await run('yes 0123456789abcde | head -c 40000000; echo end >&2', { logCapBytes })
  t.equal(stdout, '0123456789abcde\n'.repeat(10_000).slice(0, logCapBytes))
  const dropped = recorder.observations.reduce((sum, o) => sum + (o.type === 'truncated' && o.name === order.name && o.stream === 'stdout' ? o.bytes : 0), 0)
  t.equal(dropped, 40_000_000 - logCapBytes)
  t.equal(recorder.text(order.name, 'stderr'), 'end\n')
  t.ok(statSync(join(dataDir, 'attempts', order.name, 'stdout')).size < logCapBytes + 2 ** 21, 'the disk holds little more than the cap')
  const small = await run('echo 0123456789', { logCapBytes: 4 })
  t.equal(small.stdout, '0123')
  t.match(await recorder.until('truncated', (o) => o.name === small.order.name), { bytes: 7 })
})

await t.test('100 MB go through without the memory growing', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'roost-'))
  const runtime = createProcessRuntime({ dataDir, log: { warn: () => {} } })
  t.teardown(async () => {
    await runtime.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  const done = Promise.withResolvers<void>()
  let [bytes, chunks, early, peak] = [0, 0, 0, 0]
  await runtime.open(async (o) => {
    if (o.type === 'exited') done.resolve()
    if (o.type !== 'output') return
    bytes += o.bytes.length
    if (++chunks % 50 !== 0) return
    const { rss } = process.memoryUsage()
    if (bytes < 30e6) early = Math.max(early, rss)
    peak = Math.max(peak, rss)
  })
  await runtime.start(orderOf({ type: 'process', command: ['head', '-c', '100000000', '/dev/zero'] }, { logCapBytes: 2 ** 30 }))
  await done.promise
  t.equal(bytes, 100_000_000)
  // The first part makes the garbage collector find its pace.
  t.ok(peak - early < 48 * 2 ** 20, `grew by ${Math.round((peak - early) / 2 ** 20)} MiB`)
})

await t.test('stopping ends the whole process group: TERM, grace, KILL', async (t) => {
  const { runtime, recorder } = await open(t)
  const child = 'sh -c "trap : TERM; while :; do sleep 0.05; done" & echo "$! $$"; trap : TERM; while :; do sleep 0.05; done'
  const order = orderOf({ type: 'process', command: ['sh', '-c', child] })
  await runtime.start(order)
  await recorder.until('output')
  const pids = recorder.text(order.name).trim().split(' ').map(Number)
  await runtime.stop(order.name, 0.3)
  t.match(await recorder.until('exited'), { exitCode: null, signal: 'SIGKILL', cause: 'stopped' })
  for (const pid of pids) t.ok(isGone(pid), `${pid} is gone`)
  const polite = orderOf({ type: 'process', command: ['sh', '-c', 'trap "echo bye; exit 5" TERM; echo hi; while :; do sleep 0.05; done'] })
  await runtime.start(polite)
  await recorder.until('output', (o) => o.name === polite.name)
  await runtime.stop(polite.name, 10)
  t.match(await recorder.until('exited', (o) => o.name === polite.name), { exitCode: 5, signal: null, cause: 'stopped' })
  t.equal(recorder.text(polite.name), 'hi\nbye\n')
})

await t.test('a stopped (SIGSTOP) job is not an ended one, and can be ended', async (t) => {
  const { runtime, recorder } = await open(t)
  const order = orderOf({ type: 'process', command: ['sh', '-c', 'echo $$; exec sleep 1000'] })
  await runtime.start(order)
  await recorder.until('output')
  const pid = Number(recorder.text(order.name))
  process.kill(pid, 'SIGSTOP')
  t.match(await runtime.list(), [{ phase: 'Running' }])
  await runtime.stop(order.name, 5)
  t.match(await recorder.until('exited'), { signal: 'SIGTERM', cause: 'stopped' })
})

await t.test('what a job leaves in its group ends with it; a daemon that left does not hold it up', async (t) => {
  const { run } = await open(t)
  const left = await run('sleep 1000 & echo $!')
  t.equal(left.last.type, 'exited')
  t.ok(isGone(Number(left.stdout)), 'the child is gone')
  const daemon = await run('setsid sh -c "echo \\$\\$; exec sleep 1000" & sleep 0.3; echo main')
  t.match(daemon.last, { type: 'exited', exitCode: 0 })
  t.match(daemon.stdout, 'main\n')
  const pid = Number(/^\d+$/m.exec(daemon.stdout)?.[0])
  t.ok(process.kill(pid, 'SIGKILL'), 'without a cgroup it goes on, and is not lost sight of in silence: docs/decisions/004-shim.md')
})

await t.test('a deadline ends the job; moved, it does not', async (t) => {
  const { runtime, recorder, run, dataDir } = await open(t)
  t.match((await run('exec sleep 1000', { deadlineAt: Date.now() + 200 })).last, { signal: 'SIGTERM', cause: 'deadline' })
  const moved = orderOf({ type: 'process', command: ['sh', '-c', 'echo on; sleep 2.5; echo done'] }, { deadlineAt: Date.now() + 1000 })
  await runtime.start(moved)
  await recorder.until('output', (o) => o.name === moved.name)
  await runtime.renew?.(moved.name, Date.now() + 3_600_000)
  t.match(await recorder.until('exited', (o) => o.name === moved.name), { exitCode: 0, cause: null })
  t.equal(recorder.text(moved.name), 'on\ndone\n')
  t.same(readdirSync(join(dataDir, 'shim', 'deadlines')), [], 'its deadline went with it')
})

await t.test('removing takes everything away', async (t) => {
  const { runtime, run, dataDir } = await open(t)
  const { order } = await run('echo x > file; mkdir -p a/b')
  t.ok(existsSync(join(dataDir, 'attempts', order.name, 'work', 'file')))
  await runtime.remove(order.name)
  t.same(readdirSync(join(dataDir, 'attempts')), [])
  await t.rejects(runtime.remove('../../etc'))
})

await t.test('memory limits end a job as out of memory', async (t) => {
  const { runtime, run } = await open(t)
  const limits = { cpu: 1, memoryBytes: 32 * 2 ** 20 }
  if (!/^cgroup/.test(runtime.describeLimits?.() ?? '')) {
    t.match((await run('true', { limits })).last, { type: 'start-failed', code: 'limits-unavailable' }, runtime.describeLimits?.() ?? '')
    return
  }
  const { last } = await run({ command: [process.execPath, '-e', 'Buffer.alloc(300e6, 1)'] }, { limits })
  t.match(last, { type: 'exited', cause: 'out-of-memory' })
  const { order, last: good } = await run('echo fine', { limits })
  t.match(good, { exitCode: 0, cause: null })
  await runtime.remove(order.name)
})

await t.test('jobs can run as another user', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async (t) => {
  const dataDir = `/tmp/roost-user-test-${process.pid}`
  const { run } = await open(t, { dataDir, jobUser: 'nobody' })
  t.teardown(async () => (await import('node:fs/promises')).rm(dataDir, { recursive: true, force: true }))
  const { stdout, last } = await run('id -un; echo x > file; echo "$HOME $USER"; echo err > /dev/stderr')
  t.match(last, { exitCode: 0 })
  t.match(stdout, /^nobody\n\S+ nobody\n$/)
  const unknown = createProcessRuntime({ dataDir: t.testdir(), jobUser: 'no-such-user', log: { warn: () => {} } })
  await t.rejects(unknown.open(async () => {}), { message: /user-unknown/ })
})
