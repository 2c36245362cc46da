import { chmodSync, existsSync, readdirSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createProcessRuntime } from '../../plugins/runtimes/process/process.ts'
import { holdOpen, orderOf } from '../contract/runtime.ts'
import { folderFor, openProcessRuntime } from '../fixtures/process-runtime.ts'

holdOpen(t)

/**
 * Resolves when there is no such process, or one that waits to be reaped: a KILL that was sent takes effect a moment
 * later.
 */
async function untilGone(pid: number): Promise<void> {
  for (let stat = ' '; stat !== '' && !/ Z /.test(stat);) {
    await new Promise((resolve) => setImmediate(resolve))
    stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  }
}

await t.test('a full disk refuses the start for now', async (t) => {
  const { run } = await openProcessRuntime(t, { diskReserveBytes: 2 ** 60 })
  t.match((await run('true')).last, { type: 'start-failed', code: 'disk-full', retriable: true })
})

await t.test(
  'a flood ends at the cap; what is dropped is counted exactly and never on the disk',
  async (t) => {
    const { run, recorder, dataDir } = await openProcessRuntime(t)
    const logCapBytes = 100_000
    const { order, stdout } = await run('yes 0123456789abcde | head -c 40000000; echo end >&2', {
      logCapBytes
    })
    t.equal(stdout, '0123456789abcde\n'.repeat(10_000).slice(0, logCapBytes))
    const dropped = recorder.observations.reduce(
      (sum, o) =>
        sum + (o.type === 'truncated' && o.name === order.name && o.stream === 'stdout' ? o.bytes : 0),
      0
    )
    t.equal(dropped, 40_000_000 - logCapBytes)
    t.equal(recorder.text(order.name, 'stderr'), 'end\n')
    t.ok(
      statSync(join(dataDir, 'output', `${order.name}.stdout`)).size < logCapBytes + 2 ** 21,
      'the disk holds little more than the cap'
    )
    const small = await run('echo 0123456789', { logCapBytes: 4 })
    t.equal(small.stdout, '0123')
    t.match(await recorder.until('truncated', (o) => o.name === small.order.name), { bytes: 7 })
  }
)

await t.test('100 MB go through without the memory growing', async (t) => {
  const runtime = createProcessRuntime({ dataDir: folderFor(t), log: { warn: () => {} } })
  t.teardown(() => runtime.close())
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
  await runtime.start(
    orderOf({ type: 'process', command: ['head', '-c', '100000000', '/dev/zero'] }, { logCapBytes: 2 ** 30 })
  )
  await done.promise
  t.equal(bytes, 100_000_000)
  // The first part makes the garbage collector find its pace.
  t.ok(peak - early < 80 * 2 ** 20, `grew by ${Math.round((peak - early) / 2 ** 20)} MiB`)
})

await t.test('stopping ends the whole process group: TERM, grace, KILL', async (t) => {
  const { runtime, recorder } = await openProcessRuntime(t)
  const child =
    'sh -c "trap : TERM; while :; do sleep 0.05; done" & echo "$! $$"; trap : TERM; while :; do sleep 0.05; done'
  const order = orderOf({ type: 'process', command: ['sh', '-c', child] })
  await runtime.start(order)
  await recorder.until('output')
  const pids = recorder.text(order.name).trim().split(' ').map(Number)
  await runtime.stop(order.name, 0.3)
  t.match(await recorder.until('exited'), { exitCode: null, signal: 'SIGKILL', cause: 'stopped' })
  for (const pid of pids) await untilGone(pid)
  const polite = orderOf({
    type: 'process',
    command: ['sh', '-c', 'trap "echo bye; exit 5" TERM; echo hi; while :; do sleep 0.05; done']
  })
  await runtime.start(polite)
  await recorder.until('output', (o) => o.name === polite.name)
  await runtime.stop(polite.name, 10)
  t.match(await recorder.until('exited', (o) => o.name === polite.name), {
    exitCode: 5,
    signal: null,
    cause: 'stopped'
  })
  t.equal(recorder.text(polite.name), 'hi\nbye\n')
})

await t.test('a stop may come before the start', async (t) => {
  const { runtime, recorder } = await openProcessRuntime(t)
  // The first has to wait for a shim, the second finds it idle and is stopped on the way.
  for (const expected of [{ exitCode: null, signal: null }, {}, {}]) {
    const order = orderOf({ type: 'process', command: ['sleep', '1000'] })
    await runtime.start(order)
    await runtime.stop(order.name, 5)
    t.match(await recorder.until('exited', (o) => o.name === order.name), { ...expected, cause: 'stopped' })
    await runtime.remove(order.name)
    const next = orderOf({ type: 'process', command: ['true'] })
    await runtime.start(next)
    t.match(await recorder.until('exited', (o) => o.name === next.name), { exitCode: 0, cause: null })
  }
})

await t.test('a stopped (SIGSTOP) job is not an ended one, and can be ended', async (t) => {
  const { runtime, recorder } = await openProcessRuntime(t)
  const order = orderOf({ type: 'process', command: ['sh', '-c', 'echo $$; exec sleep 1000'] })
  await runtime.start(order)
  await recorder.until('output')
  const pid = Number(recorder.text(order.name))
  process.kill(pid, 'SIGSTOP')
  t.match(await runtime.list(), [{ phase: 'Running' }])
  await runtime.stop(order.name, 5)
  t.match(await recorder.until('exited'), { signal: 'SIGTERM', cause: 'stopped' })
})

await t.test(
  'what a job leaves in its group ends with it; a daemon that left does not hold it up',
  async (t) => {
    const { run } = await openProcessRuntime(t)
    const left = await run('sleep 1000 & echo $!')
    t.equal(left.last.type, 'exited')
    await untilGone(Number(left.stdout))
    const daemon = await run('setsid sh -c "echo \\$\\$; exec sleep 1000" & sleep 0.3; echo main')
    t.match(daemon.last, { type: 'exited', exitCode: 0 })
    t.match(daemon.stdout, 'main\n')
    const pid = Number(/^\d+$/m.exec(daemon.stdout)?.[0])
    t.ok(
      process.kill(pid, 'SIGKILL'),
      'without a cgroup it goes on, and is not lost sight of in silence: docs/decisions/004-shim.md'
    )
  }
)

await t.test('a deadline ends the job; moved, it does not', async (t) => {
  const { runtime, recorder, run, dataDir } = await openProcessRuntime(t)
  t.match((await run('exec sleep 1000', { deadlineAt: Date.now() + 200 })).last, {
    signal: 'SIGTERM',
    cause: 'deadline'
  })
  const moved = orderOf(
    { type: 'process', command: ['sh', '-c', 'echo on; sleep 2.5; echo done'] },
    { deadlineAt: Date.now() + 1000 }
  )
  await runtime.start(moved)
  await recorder.until('output', (o) => o.name === moved.name)
  await runtime.renew?.(moved.name, Date.now() + 3_600_000)
  t.match(await recorder.until('exited', (o) => o.name === moved.name), { exitCode: 0, cause: null })
  t.equal(recorder.text(moved.name), 'on\ndone\n')
  t.same(readdirSync(join(dataDir, 'shim', 'deadlines')), [], 'its deadline went with it')
})

await t.test('removing takes everything away', async (t) => {
  const { runtime, run, dataDir } = await openProcessRuntime(t)
  const { order } = await run('echo x > file; mkdir -p a/b')
  t.ok(existsSync(join(dataDir, 'attempts', order.name, 'file')))
  await runtime.remove(order.name)
  t.same([...readdirSync(join(dataDir, 'attempts')), ...readdirSync(join(dataDir, 'output'))], [])
  await t.rejects(runtime.remove('../../etc'))
})

await t.test('memory limits end a job as out of memory', async (t) => {
  const { runtime, run } = await openProcessRuntime(t)
  const limits = { cpu: 1, memoryBytes: 32 * 2 ** 20 }
  if (runtime.describeLimits?.().startsWith('cgroup') !== true) {
    t.match(
      (await run('true', { limits })).last,
      { type: 'start-failed', code: 'limits-unavailable' },
      runtime.describeLimits?.() ?? ''
    )
    return
  }
  const greedy = await run({ command: [process.execPath, '-e', 'Buffer.alloc(300e6, 1)'] }, { limits })
  t.match(greedy.last, { type: 'exited', cause: 'out-of-memory' })
  const modest = await run('cat /proc/self/cgroup', { limits })
  t.match(modest.last, { exitCode: 0, cause: null })
  t.match(modest.stdout, modest.order.name)
  // A daemon that left the session is still in the group.
  const daemon = await run(
    'setsid sleep 1000 & until [ "$(cut -d" " -f6 /proc/$!/stat)" = $! ]; do :; done; echo $!',
    { limits }
  )
  await untilGone(Number(daemon.stdout))
  for (const { order } of [greedy, modest, daemon]) await runtime.remove(order.name)
})

await t.test(
  'jobs can run as another user',
  { skip: process.getuid?.() === 0 ? false : 'needs root' },
  async (t) => {
    const above = folderFor(t)
    const dataDir = join(above, 'data')
    const refused = createProcessRuntime({ dataDir, jobUser: 'nobody', log: { warn: () => {} } })
    await t.rejects(
      refused.open(async () => {}),
      { message: /cannot be entered by nobody.*chmod/ },
      'mkdtemp gives 0700'
    )
    chmodSync(above, 0o711)
    const { run } = await openProcessRuntime(t, { dataDir, jobUser: 'nobody' })
    const { stdout, last } = await run('id -un; echo x > file; echo "$HOME $USER"; echo err > /dev/stderr')
    t.match(last, { exitCode: 0 })
    t.match(stdout, /^nobody\n\S+ nobody\n$/)
    const unknown = createProcessRuntime({ dataDir, jobUser: 'no-such-user', log: { warn: () => {} } })
    await t.rejects(
      unknown.open(async () => {}),
      { message: /user-unknown/ }
    )
  }
)
