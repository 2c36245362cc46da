import { execFileSync, spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
  closeSync
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isAlive, readFacts, startOf } from '../../plugins/runtimes/process/attempt-files.ts'
import { parseCursor } from '../../plugins/runtimes/process/cursor.ts'
import { createDeadlines } from '../../plugins/runtimes/process/deadlines.ts'
import { createTail } from '../../plugins/runtimes/process/tail.ts'
import { systemClock } from '../../src/contracts/clock.ts'
import type { AttemptOrder } from '../../src/contracts/runtime.ts'
import { createRecorder, holdOpen, orderOf } from '../contract/runtime.ts'
import { folderFor, openProcessRuntime } from '../fixtures/process-runtime.ts'
import { plainNode } from '../plain-node.ts'

holdOpen(t)
const service = join(import.meta.dirname, '../fixtures/process-service.ts')
const sh = (script: string, more: Partial<AttemptOrder> = {}) =>
  orderOf({ type: 'process', command: ['sh', '-c', script] }, more)

/** A real service process behind `prefix`, ended with the test. */
function startService(t: Test, prefix: string[], args: string[], stdio: StdioOptions): ChildProcess {
  const [program = '', ...rest] = [...prefix, plainNode.program, ...plainNode.flags, service, ...args]
  const child = spawn(program, rest, { stdio })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => {
      child.once('exit', resolve)
    })
    child.kill('SIGKILL')
    await gone
  })
  return child
}

/** Resolves once the service says `word`; rejects where it ends before. */
const said = (child: ChildProcess, word: string) =>
  new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      if (message === word) resolve()
    })
    child.once('exit', (code, signal) => reject(new Error(`the service ended: ${code ?? signal}`)))
  })

const readOutput = (dataDir: string): string =>
  Buffer.concat(
    readFileSync(join(dataDir, 'journal'), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { type: string; bytes?: string })
      .map((entry) => Buffer.from(entry.bytes ?? '', 'base64'))
  ).toString()

/** Looks until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo())
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
}

/** A folder with room for `kib`, or null where this user may not mount one. */
function smallDisk(t: Test, kib: number): string | null {
  const folder = join(folderFor(t), 'small')
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return null
  }
  t.teardown(() => execFileSync('umount', ['-l', folder]))
  return folder
}

for (const shell of ['/bin/dash', '/bin/bash']) {
  await t.test(
    `a disk that was full for a while: what was dropped is told exactly, under ${shell}`,
    { skip: existsSync(shell) ? false : `there is no ${shell}` },
    async (t) => {
      const dataDir = smallDisk(t, 2048)
      if (dataDir === null) return t.comment('not tried: mounting needs root')
      const marks = folderFor(t)
      const { runtime, recorder } = await openProcessRuntime(t, { dataDir, diskReserveBytes: 0, shell })
      const wait = (mark: string) => `until [ -e '${marks}/${mark}' ]; do sleep 0.02; done`
      const order = sh(
        `yes 0123456789 | head -c 300001; ${wait('full')}
        yes 0123456789 | head -c 500003; printf more; : >'${marks}/printed'; ${wait('freed')}; printf end`
      )
      await runtime.start(order)
      await until(() => recorder.text(order.name).length === 300_001)
      const fill = openSync(join(dataDir, 'fill'), 'w')
      // Leaves room for a part of a block.
      t.throws(
        () => {
          for (;;) writeSync(fill, Buffer.alloc(4096))
        },
        { code: 'ENOSPC' }
      )
      closeSync(fill)
      writeFileSync(join(marks, 'full'), '')
      await until(() => existsSync(join(marks, 'printed')))
      rmSync(join(dataDir, 'fill'))
      writeFileSync(join(marks, 'freed'), '')
      t.match(await recorder.until('exited'), { exitCode: 0 })
      const dropped = recorder.observations.flatMap((o) => (o.type === 'truncated' ? [o.bytes] : []))
      t.equal(dropped.length, 1, 'told once')
      t.ok(dropped[0]! >= 300_000, `${dropped[0]} bytes were dropped`)
      t.equal(recorder.text(order.name).length + dropped[0]!, 300_001 + 500_003 + 4 + 3)
      t.match(recorder.text(order.name), /end$/, 'and once there was room it went on')
    }
  )
}

await t.test('a service out of descriptors loses no job and goes on', async (t) => {
  const dataDir = folderFor(t)
  const go = join(dataDir, 'go')
  const order = sh(`echo one; until [ -e '${go}' ]; do sleep 0.02; done; echo two`)
  const child = startService(
    t,
    ['sh', '-c', 'ulimit -n 100; exec "$@"', 'sh'],
    [dataDir, join(dataDir, 'journal'), JSON.stringify(order)],
    ['ignore', 'inherit', 'inherit', 'ipc']
  )
  const exited = said(child, 'exited')
  exited.catch(() => {})
  await said(child, 'output')
  const warned = said(child, 'warned')
  child.send('exhaust')
  await said(child, 'exhaust')
  writeFileSync(go, '')
  await warned
  child.send('release')
  await exited
  t.equal(readOutput(dataDir), 'one\ntwo\n')
})

await t.test('out of descriptors nobody is taken for dead', (t) => {
  const files = join(import.meta.dirname, '../../plugins/runtimes/process/attempt-files.ts')
  const script = `
    const { isAlive, startOf } = await import(process.argv[1])
    const { openSync } = await import('node:fs')
    const mark = { pid: process.pid, start: startOf(process.pid) }
    if (!isAlive(mark)) process.exit(1)
    try { for (;;) openSync('/dev/null', 'r') } catch {}
    try { isAlive(mark) } catch (error) { process.exit(error.code === 'EMFILE' ? 0 : 2) }
    process.exit(3)`
  const command = [plainNode.program, ...plainNode.flags, '-e', script, files]
  execFileSync('sh', ['-c', 'ulimit -n 60; exec "$@"', 'sh', ...command])
  t.ok(isAlive({ pid: process.pid, start: startOf(process.pid)! }))
  t.equal(startOf(2 ** 22 + 1), null, 'no process has this number')
  t.end()
})

await t.test('what was seen running is not started again where its files are gone', async (t) => {
  const { runtime, recorder, dataDir } = await openProcessRuntime(t)
  const order = sh(`: >'${dataDir}/ran'`, { startedAt: Date.now() })
  await runtime.adopt(order)
  t.match(await recorder.until('lost'), { code: 'exit-status-lost' })
  t.notOk(existsSync(join(dataDir, 'ran')))
})

await t.test('a stop asked for again keeps the earlier end, and may bring it forward', async (t) => {
  const { runtime, recorder } = await openProcessRuntime(t)
  const stubborn = () => sh('trap "echo term" TERM; echo on; while :; do sleep 0.02; done')
  for (const graces of [
    [0.5, 1000, 1000],
    [1000, 0.2],
    [1000, 0]
  ]) {
    const order = stubborn()
    await runtime.start(order)
    await recorder.until('output', (o) => o.name === order.name)
    for (const grace of graces) {
      await runtime.stop(order.name, grace)
      await until(() => recorder.text(order.name).includes('term'))
    }
    t.match(await recorder.until('exited', (o) => o.name === order.name), {
      signal: 'SIGKILL',
      cause: 'stopped'
    })
    t.equal(recorder.text(order.name), 'on\nterm\n', 'TERM came once')
  }
})

await t.test('the KILL that the watchdog holds is not moved to a later time', (t) => {
  const folder = t.testdir()
  createDeadlines(folder, systemClock).set('a', 'k', Date.now() + 1e6)
  const [first = ''] = readdirSync(folder)
  const next = createDeadlines(folder, systemClock)
  next.set('a', 'k', Date.now() + 2e6)
  t.same(readdirSync(folder), [first])
  next.set('a', 'k', Date.now() + 1e5)
  t.equal(readdirSync(folder).length, 1)
  t.ok(readdirSync(folder)[0]! < first)
  t.end()
})

await t.test('a signal is told after a restart of the service, too', async (t) => {
  const first = await openProcessRuntime(t)
  const { dataDir } = first
  const order = sh('echo on; exec sleep 1000')
  await first.runtime.start(order)
  await first.recorder.until('output')
  await first.runtime.close()
  const { runtime, recorder } = await openProcessRuntime(t, { dataDir })
  await runtime.adopt({ ...order, startedAt: Date.now(), cursor: first.recorder.cursor(order.name) })
  process.kill(readFacts(join(dataDir, 'attempts', order.name))!.job!.pid, 'SIGSEGV')
  t.match(await recorder.until('exited'), { exitCode: null, signal: 'SIGSEGV' })
})

await t.test('a tail that was stopped opens nothing any more', async (t) => {
  const folder = t.testdir({ 'a.stdout': 'one\n', 'a.stderr': 'two\n' })
  const recorder = createRecorder()
  const looked = Promise.withResolvers<void>()
  const tail = createTail({
    identity: { name: 'a', jobId: 'a', attempt: 1 },
    output: join(folder, 'a'),
    cursor: parseCursor(null),
    capBytes: 1000,
    report: async (observation) => {
      tail.stop()
      await recorder.report(observation)
      setImmediate(looked.resolve)
    },
    clock: systemClock,
    warn: (message) => t.fail(message),
    onDone: () => t.fail('it was stopped')
  })
  tail.wake()
  await looked.promise
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return []
    }
  })
  t.same(
    open.filter((file) => file.startsWith(folder)),
    []
  )
  t.equal(recorder.text('a', 'stderr'), '')
})

await t.test(
  'a job sees no descriptor that the service was started with',
  { skip: existsSync('/bin/bash') ? false : 'other shells cannot close those above 9' },
  async (t) => {
    const dataDir = folderFor(t)
    const order = sh('exec ls /proc/self/fd')
    const given = openSync(service, 'r')
    t.teardown(() => closeSync(given))
    const between = Array.from({ length: 36 }, () => 'ignore' as const)
    const child = startService(
      t,
      [],
      [dataDir, join(dataDir, 'journal'), JSON.stringify(order)],
      ['ignore', 'inherit', 'inherit', 'ipc', ...between, given]
    )
    await said(child, 'exited')
    t.equal(readOutput(dataDir), '0\n1\n2\n3\n', 'the last one is that of the folder')
  }
)
