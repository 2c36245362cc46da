import { fork, spawn, type ChildProcess } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isAlive, readFacts, signalGroup, startOf } from '../../plugins/runtimes/process/attempt-files.ts'
import { openPipeDir } from '../../plugins/runtimes/process/spawner.ts'
import type { AttemptOrder } from '../../src/contracts/runtime.ts'
import { holdOpen, orderOf } from '../contract/runtime.ts'
import { folderFor, openProcessRuntime } from '../fixtures/process-runtime.ts'

holdOpen(t)
const service = join(import.meta.dirname, '../fixtures/process-service.ts')
const shimScript = join(import.meta.dirname, '../../plugins/runtimes/process/shim.sh')
const sh = (script: string, more: Partial<AttemptOrder> = {}) =>
  orderOf({ type: 'process', command: ['sh', '-c', script] }, more)

/** A real service process on `dataDir`; resolves once it says `word`. */
function startService(t: Test, dataDir: string, order: AttemptOrder) {
  const child = fork(service, [dataDir, join(dataDir, 'journal'), JSON.stringify(order)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  t.teardown(() => kill(child))
  return {
    child,
    said: (word: string) =>
      new Promise<void>((resolve) => {
        child.on('message', (message) => {
          if (message === word) resolve()
        })
      })
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => {
    child.once('exit', resolve)
  })
  child.kill('SIGKILL')
  await gone
}

type Entry = {
  type: string
  at?: number
  stream?: string
  bytes?: string
  exitCode?: number
  signal?: string
  cause?: string
  code?: string
}
const readJournal = (dataDir: string): Entry[] =>
  readFileSync(join(dataDir, 'journal'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Entry)
const outputOf = (entries: Entry[]): string =>
  Buffer.concat(
    entries.filter((e) => e.type === 'output').map((e) => Buffer.from(e.bytes ?? '', 'base64'))
  ).toString()

await t.test('kill -9 of the service, three times: every byte once', async (t) => {
  const dataDir = folderFor(t)
  const go = join(dataDir, 'go')
  // It goes on until the last service is there, however slow the machine is.
  const order = sh(
    `i=0; until [ -e '${go}' ]; do i=$((i+1)); echo "line $i of ünïcode"; sleep 0.01; done; exit 7`
  )
  for (let kills = 0; kills < 3; kills++) {
    const { child, said } = startService(t, dataDir, order)
    await said('output')
    await kill(child)
  }
  const { said } = startService(t, dataDir, order)
  await said('output')
  writeFileSync(go, '')
  await said('exited')
  const entries = readJournal(dataDir)
  const output = outputOf(entries)
  const lines = output.split('\n').length - 1
  t.ok(lines > 3, `${lines} lines`)
  t.equal(output, Array.from({ length: lines }, (_, i) => `line ${i + 1} of ünïcode\n`).join(''))
  t.match(entries.at(-1), { type: 'exited', exitCode: 7 })
})

await t.test('a job that ended while no service lived is told by the next', async (t) => {
  const dataDir = folderFor(t)
  const go = join(dataDir, 'go')
  const order = sh(`echo before; until [ -e '${go}' ]; do sleep 0.02; done; echo after; kill -9 $$`)
  const { child, said } = startService(t, dataDir, order)
  await said('output')
  await kill(child)
  const { shim } = readFacts(join(dataDir, 'attempts', order.name))!
  writeFileSync(go, '')
  // Until the shim has gone too: it may still write beside the end.
  await gone(() => readFacts(join(dataDir, 'attempts', order.name))?.end == null || isAlive(shim!))
  const endedBefore = Date.now()
  const next = startService(t, dataDir, order)
  await next.said('exited')
  const entries = readJournal(dataDir)
  t.equal(outputOf(entries), 'before\nafter\n')
  t.ok(entries.at(-1)!.at! <= endedBefore, 'with the time at which it ended')
  t.match(entries.at(-1), { type: 'exited', exitCode: null, signal: 'SIGKILL', cause: null })
})

await t.test('a stopped (SIGSTOP) service loses nothing', async (t) => {
  const dataDir = folderFor(t)
  const order = sh('echo one; sleep 0.5; echo two')
  const { child, said } = startService(t, dataDir, order)
  await said('output')
  child.kill('SIGSTOP')
  const done = said('exited')
  const { job } = readFacts(join(dataDir, 'attempts', order.name))!
  await gone(() => isAlive(job!))
  child.kill('SIGCONT')
  await done
  t.equal(outputOf(readJournal(dataDir)), 'one\ntwo\n')
})

await t.test('a deadline holds with no service alive', async (t) => {
  const dataDir = folderFor(t)
  const order = sh('trap "" TERM; echo $$; while :; do sleep 0.1; done', { deadlineAt: Date.now() + 1500 })
  const { child, said } = startService(t, dataDir, order)
  await said('output')
  await kill(child)
  const { job } = readFacts(join(dataDir, 'attempts', order.name))!
  await gone(() => isAlive(job!))
  const { runtime, recorder } = await openProcessRuntime(t, { dataDir })
  await runtime.adopt(order)
  t.match(await recorder.until('exited'), { exitCode: null, signal: 'SIGKILL', cause: 'deadline' })
})

/** Looks until it is no more. */
async function gone(isThere: () => boolean): Promise<void> {
  while (isThere())
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
}

await t.test('two shims for one attempt run it once', async (t) => {
  const dataDir = folderFor(t)
  const { runtime, recorder } = await openProcessRuntime(t, { dataDir })
  const proof = join(dataDir, 'proof')
  const order = sh(`echo ran >>'${proof}'; sleep 0.3`)
  await runtime.start(order)
  await recorder.until('started')
  const second = spawn(
    'sh',
    [
      '-s',
      '--',
      join(dataDir, 'shim'),
      join(dataDir, 'attempts'),
      join(dataDir, 'output'),
      openPipeDir(join(dataDir, 'shim')),
      '1',
      'second'
    ],
    { stdio: ['pipe', 'ignore', 'ignore'] }
  )
  second.stdin.end(
    `. '${shimScript}'\nslot\nattempt ${order.name} 1000 - / /dev/null -- -- /bin/sh -c "echo ran >>'${proof}'"\n`
  )
  await new Promise((resolve) => {
    second.on('exit', resolve)
  })
  await recorder.until('exited')
  t.equal(readFileSync(proof, 'utf8'), 'ran\n')
})

await t.test('an order that was cut off is no order', async (t) => {
  const dataDir = folderFor(t)
  const proof = join(dataDir, 'proof')
  const order = `if :; then attempt a 1000 - / /dev/null -- -- /bin/sh -c 'echo ran >>${proof}' x; fi\n`
  for (const length of [60, order.length - 8, order.length - 4, order.length - 3, order.length - 1]) {
    const shell = spawn('sh', ['-s', '--', dataDir], { stdio: ['pipe', 'ignore', 'ignore'] })
    shell.stdin.end(
      `attempt() { while [ "$1" != -- ]; do shift; done; shift 2; "$@"; }\n${order.slice(0, length)}`
    )
    await new Promise((resolve) => {
      shell.on('exit', resolve)
    })
    t.equal(existsSync(proof), length === order.length - 1, `cut to ${length} bytes`)
  }
})

await t.test('a shim gone without a status: what is left is ended, then lost', async (t) => {
  const dataDir = folderFor(t)
  const { runtime, recorder } = await openProcessRuntime(t, { dataDir })
  const order = sh('echo running; exec sleep 1000')
  await runtime.start(order)
  await recorder.until('output')
  const { shim, job } = readFacts(join(dataDir, 'attempts', order.name))!
  process.kill(shim!.pid, 'SIGKILL')
  t.match(await recorder.until('lost'), { code: 'exit-status-lost' })
  await gone(() => isAlive(job!))
  t.equal(recorder.text(order.name), 'running\n')
  const after = sh('echo fine')
  await runtime.start(after)
  t.match(await recorder.until('exited', (o) => o.name === after.name), { exitCode: 0 })
})

await t.test('an attempt of an earlier boot is lost, what it wrote is told', async (t) => {
  const dataDir = folderFor(t)
  const first = await openProcessRuntime(t, { dataDir })
  const order = sh('echo before the restart; exec sleep 1000')
  await first.runtime.start(order)
  await first.recorder.until('output')
  await first.runtime.close()
  const state = join(dataDir, 'attempts', `${order.name}.state`)
  const { job, shim } = readFacts(join(dataDir, 'attempts', order.name))!
  t.teardown(() => signalGroup(job!, 'SIGKILL'))
  writeFileSync(
    state,
    `shim 11111111-2222-3333-4444-555555555555 ${shim!.pid} ${shim!.start} 1000 -\njob ${job!.pid} ${job!.start}\n`
  )
  const second = await openProcessRuntime(t, { dataDir })
  await second.runtime.adopt(order)
  t.match(await second.recorder.until('lost'), { code: 'node-rebooted' })
  t.equal(second.recorder.text(order.name), 'before the restart\n')
  t.ok(isAlive(job!), 'a process of this boot that has the number is let be')
})

await t.test('a number with another start time is another process', async (t) => {
  const child = spawn('sleep', ['1000'])
  t.teardown(() => child.kill('SIGKILL'))
  const start = startOf(child.pid!)
  t.ok(start !== null && isAlive({ pid: child.pid!, start }))
  const stranger = { pid: child.pid!, start: String(Number(start) - 1) }
  t.notOk(isAlive(stranger))
  t.notOk(signalGroup(stranger, 'SIGKILL'))
  t.equal(child.exitCode, null)
})

await t.test('the spawner may die: the next start has a new one', async (t) => {
  const dataDir = folderFor(t)
  const { runtime, recorder } = await openProcessRuntime(t, { dataDir })
  const order = sh('echo one; sleep 0.5; echo two')
  await runtime.start(order)
  await recorder.until('output')
  // The watchdog names itself; its parent is the spawner.
  const watchdog = await new Promise<string>((resolve) => {
    const look = () =>
      existsSync(join(dataDir, 'shim/watchdog'))
        ? resolve(readFileSync(join(dataDir, 'shim/watchdog'), 'utf8').split(' ')[0]!)
        : setTimeout(look, 10)
    look()
  })
  process.kill(Number(readFileSync(`/proc/${watchdog}/stat`, 'utf8').split(' ')[3]), 'SIGKILL')
  t.match(await recorder.until('exited'), { exitCode: 0 })
  t.equal(recorder.text(order.name), 'one\ntwo\n')
  const many = Array.from({ length: 40 }, () => sh('echo x; sleep 0.1'))
  await Promise.all(many.map((o) => runtime.start(o)))
  await Promise.all(many.map((o) => recorder.until('exited', ({ name }) => name === o.name)))
  t.ok(many.every((o) => recorder.text(o.name) === 'x\n'))
})

await t.test(
  'the pipes may be removed from outside: what runs goes on, what comes starts again',
  async (t) => {
    const dataDir = folderFor(t)
    const { runtime, recorder } = await openProcessRuntime(t, { dataDir })
    const order = sh('echo one; sleep 1.5; echo two')
    await runtime.start(order)
    await recorder.until('output')
    rmSync(openPipeDir(join(dataDir, 'shim')), { recursive: true })
    t.match(await recorder.until('exited'), { exitCode: 0 })
    t.equal(recorder.text(order.name), 'one\ntwo\n')
    const next = [sh('echo three'), sh('sleep 0.2; echo three')]
    for (const o of next) await runtime.start(o)
    for (const o of next) {
      t.match(await recorder.until('exited', ({ name }) => name === o.name), { exitCode: 0 })
      t.equal(recorder.text(o.name), 'three\n')
    }
  }
)

await t.test('half a line of state is no line', (t) => {
  const attempt = join(t.testdir(), 'attempt')
  const state = `${attempt}.state`
  t.equal(readFacts(attempt), null)
  writeFileSync(state, 'shim boot 12 34 1000 -\njob 13 35\nexit 1')
  t.match(readFacts(attempt), { shim: { pid: 12, start: '34' }, job: { pid: 13, start: '35' }, end: null })
  appendFileSync(state, '3 1 deadline no\n')
  t.match(readFacts(attempt)?.end, { code: 13, signalled: true, cause: 'deadline', drained: null })
  t.end()
})
