import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { openSqliteStorage } from '../../plugins/storage/sqlite/open.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import { createJob } from '../../src/domain/job-state.ts'
import { newId } from '../../src/ids.ts'
import { plainNode } from '../plain-node.ts'

const fixture = join(import.meta.dirname, '../fixtures/storage-process.ts')
type Child = ChildProcessByStdio<null, Readable, null>
const start = (mode: string, dataDir: string): Child =>
  spawn(plainNode.program, [...plainNode.flags, fixture, mode, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit']
  })

async function* facts(child: Child): AsyncGenerator<Record<string, unknown>> {
  // A last line may be cut by the kill; it was not acknowledged as a whole.
  for await (const line of createInterface(child.stdout)) if (line.endsWith('}')) yield JSON.parse(line)
}

const insert = async (storage: Storage, bytes = 10): Promise<string> => {
  const { job, frames } = createJob(
    newId(),
    'default',
    { task: { type: 'process', command: ['true'], stdin: 'x'.repeat(bytes) } },
    Date.now()
  )
  await storage.write(async (tx) => {
    await tx.jobs.insert(job)
    await tx.events.append(job.id, frames)
  })
  return job.id
}

async function opened(t: Test, options: Parameters<typeof openSqliteStorage>[0]): Promise<Storage> {
  const storage = await openSqliteStorage(options)
  t.teardown(() => storage.close())
  return storage
}

/** Each job stands there as a whole or not at all. */
async function checkWhole(t: Test, storage: Storage): Promise<string[]> {
  const ids: string[] = []
  for (;;) {
    const page = await storage.jobs.listUnfinished(ids.at(-1) ?? null, 500)
    if (page.length === 0) break
    for (const { id, lastSeq } of page) {
      const frames = await storage.events.read(id, 1, 10, 1e6)
      if (lastSeq !== frames.length || frames.some(({ seq }, i) => seq !== i + 1))
        t.fail(`job ${id} is half written`)
      ids.push(id)
    }
  }
  t.match(await storage.audit.verify(), { fault: null })
  return ids
}

await t.test(
  'every acknowledged write survives kill -9, and a backup in its place is not mixed with its WAL',
  async (t) => {
    const root = t.testdir()
    const dataDir = join(root, 'data')
    const child = start('write', dataDir)
    const acknowledged: string[] = []
    for await (const { id } of facts(child)) {
      if (typeof id !== 'string') continue
      acknowledged.push(id)
      if (acknowledged.length === 400) child.kill('SIGKILL')
    }
    t.ok(existsSync(join(dataDir, 'roost.db-wal')), 'it was killed in the midst of it')
    cpSync(dataDir, join(root, 'killed'), { recursive: true })

    const storage = await opened(t, { dataDir })
    const found = new Set(await checkWhole(t, storage))
    t.ok(acknowledged.length >= 400)
    t.strictSame(
      acknowledged.filter((id) => !found.has(id)),
      []
    )

    const other = await opened(t, { dataDir: join(root, 'other') })
    const kept = await insert(other)
    await other.backup(join(root, 'other.backup'))
    copyFileSync(join(root, 'other.backup'), join(root, 'killed/roost.db'))
    const restored = await opened(t, { dataDir: join(root, 'killed') })
    t.strictSame(await checkWhole(t, restored), [kept])
  }
)

await t.test('a second process is refused by name, and kill -9 frees the directory', async (t) => {
  const dataDir = t.testdir()
  const child = start('hold', dataDir)
  const { value } = await facts(child).next()
  t.equal(value?.ready, child.pid)
  await t.rejects(openSqliteStorage({ dataDir }), {
    message: new RegExp(`${dataDir} is in use by another Roost \\(process ${child.pid}\\).*ROOST_DATA_DIR`)
  })
  child.kill('SIGKILL')
  await once(child, 'close')
  const storage = await opened(t, { dataDir })
  await t.rejects(openSqliteStorage({ dataDir }), /in use by another Roost/, 'nor twice in one process')
  await insert(storage)
})

await t.test(
  'without room a write is storage-unavailable, reads go on, and a purge lets writes go on',
  async (t) => {
    const clock = { now: () => 0, setTimeout: () => ({ cancel: () => {} }) }
    const storage = await opened(t, { dataDir: t.testdir(), maxBytes: 1_000_000, clock })
    const ids: string[] = []
    let refused: unknown = null
    while (refused === null)
      await insert(storage, 50_000).then(
        (id) => ids.push(id),
        (error: unknown) => {
          refused = error
        }
      )
    t.match(refused, {
      code: 'storage-unavailable',
      statusCode: 503,
      headers: { 'retry-after': '5' },
      message: /roost\.db has no room left \(SQLITE_FULL\).*purge/,
      cause: { code: 'SQLITE_FULL' }
    })
    const together = await Promise.allSettled([
      insert(storage),
      insert(storage, 500_000),
      storage.write(async (tx) => {
        // A work that swallows the fault must not be told that it is stored.
        await tx.settings.set('big', 'x'.repeat(500_000)).catch(() => {})
      })
    ])
    t.strictSame(
      together.map((result) => result.status === 'rejected' && result.reason.code),
      Array(3).fill('storage-unavailable')
    )
    t.match(await storage.status(), { writable: false, message: /no room left/ })
    t.strictSame(await checkWhole(t, storage), ids, 'all that was acknowledged, nothing half written')

    await storage.write(async (tx) => {
      for (const id of ids.slice(0, 5)) await tx.jobs.remove(id)
    })
    ids.splice(0, 5, await insert(storage, 50_000))
    t.match(await storage.status(), { writable: true, message: null })
    t.strictSame(await checkWhole(t, storage), ids.slice(1).concat(ids[0]!))
  }
)

await t.test('who asks how it is finds out that there is room again', async (t) => {
  let now = 0
  const clock = { now: () => now, setTimeout: () => ({ cancel: () => {} }) }
  const storage = await opened(t, { dataDir: t.testdir(), maxBytes: 1_000_000, clock })
  const first = await insert(storage, 300_000)
  await t.rejects(insert(storage, 2_000_000), { code: 'storage-unavailable' })
  t.match(await storage.status(), { writable: true }, 'the probe fits')
  t.equal(await storage.settings.get('storage-probe'), null)
  while (
    await insert(storage, 20_000).then(
      () => true,
      () => false
    )
  );
  t.match(await storage.status(), { writable: false }, 'asked too soon after the last probe')
  now += 1000
  t.match(await storage.status(), { writable: false }, 'the probe does not fit')
  t.ok(await storage.jobs.find(first))
})

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0
await t.test(
  'an error of the disk is storage-unavailable until it is over',
  { skip: hasPrlimit ? false : 'prlimit (util-linux) is missing' },
  async (t) => {
    const said: Record<string, unknown>[] = []
    for await (const fact of facts(start('limit', t.testdir()))) said.push(fact)
    t.match(said, [
      { ready: Number },
      {
        code: 'storage-unavailable',
        message: /met an error of the disk \(SQLITE_IOERR_WRITE\)/,
        writable: false,
        read: true
      },
      { again: 2, writable: true }
    ])
  }
)

/** Root may write anything, so its child becomes the user nobody, who must get as far as the test's folder. */
const closedFolder = (): string | undefined => {
  if (process.getuid?.() !== 0) return undefined
  for (let folder = import.meta.dirname; folder !== '/'; folder = dirname(folder))
    if ((statSync(folder).mode & 0o001) === 0) return folder
  return undefined
}
const closed = closedFolder()
await t.test(
  'files that may not be written stop the start with what to do',
  { skip: closed === undefined ? false : `${closed} is closed to the user nobody` },
  async (t) => {
    const dataDir = t.testdir()
    const storage = await openSqliteStorage({ dataDir })
    await storage.close()
    const file = join(dataDir, 'roost.db')
    chmodSync(file, 0o444)
    if (process.getuid?.() === 0) {
      for (const path of [dataDir, join(dataDir, 'lock.db')]) chownSync(path, 65_534, 65_534)
    }
    const { value } = await facts(start('stranger', dataDir)).next()
    t.match(value, { message: /cannot be used: EACCES.*roost\.db.*ROOST_DATA_DIR/ })
  }
)

await t.test('a folder that cannot be made stops the start with what to do', async (t) => {
  const root = t.testdir({ file: '' })
  await t.rejects(
    openSqliteStorage({ dataDir: join(root, 'file/data') }),
    /data directory .*file\/data cannot be used: ENOTDIR.*ROOST_DATA_DIR/
  )
})

await t.test(
  'a damaged database stops the start, or answers 503 where the damage is met later',
  async (t) => {
    const root = t.testdir()
    const dataDir = join(root, 'data')
    const file = join(dataDir, 'roost.db')
    const storage = await openSqliteStorage({ dataDir })
    const id = await insert(storage)
    for (let i = 0; i < 20; i++) {
      await storage.write((tx) =>
        tx.events.append(
          id,
          Array.from({ length: 100 }, () => ({
            type: 'log' as const,
            time: '',
            attempt: 1,
            stream: 'stdout' as const,
            text: 'x'.repeat(200)
          }))
        )
      )
    }
    await storage.close()
    const whole = readFileSync(file)

    truncateSync(file, 40_000)
    await t.rejects(openSqliteStorage({ dataDir }), /roost\.db is damaged \(SQLITE_CORRUPT.*backup/)
    writeFileSync(file, 'this is no database, whatever its name may say'.repeat(200))
    await t.rejects(
      openSqliteStorage({ dataDir }),
      /roost\.db is damaged or no SQLite database \(SQLITE_NOTADB\).*backup/
    )

    writeFileSync(file, whole)
    const fd = openSync(file, 'r+')
    // The end of the log, from the middle of a page on: nothing that the start looks at, and nothing that SQLite always sees.
    const from = Math.floor(whole.length * 0.7)
    writeSync(fd, Buffer.alloc(whole.length - from, 0xa5), 0, null, from)
    closeSync(fd)
    const damaged = await opened(t, { dataDir })
    await t.rejects(damaged.events.read(id, 1, 5000, 1e9), {
      code: 'storage-unavailable',
      message: /is damaged/
    })
    t.equal((await damaged.events.read(id, 1, 100, 1e9)).length, 100, 'what is whole can be read')
  }
)

await t.test('a backup is whole while thousands of writes go on, and starts paused', async (t) => {
  const root = t.testdir({ taken: '' })
  const clock = { now: () => 1_800_000_000_000, setTimeout: () => ({ cancel: () => {} }) }
  const storage = await opened(t, { dataDir: join(root, 'data'), clock })
  const before = await Promise.all(Array.from({ length: 1500 }, () => insert(storage, 1000)))
  let copied = false
  let meanwhile = 0
  const writing = Promise.all(
    Array.from({ length: 32 }, async () => {
      while (!copied || meanwhile < 1000) {
        await insert(storage, 1000)
        meanwhile += 1
      }
    })
  )
  const file = join(root, 'roost.backup')
  const { bytes } = await storage.backup(file)
  copied = true
  await writing
  t.equal(statSync(file).size, bytes)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.ok(meanwhile >= 1000)
  t.equal(await storage.settings.get('restored'), null, 'the one that runs is not paused')

  mkdirSync(join(root, 'restored'))
  copyFileSync(file, join(root, 'restored/roost.db'))
  const copy = await opened(t, { dataDir: join(root, 'restored') })
  const found = new Set(await checkWhole(t, copy))
  t.strictSame(
    before.filter((id) => !found.has(id)),
    []
  )
  t.strictSame(JSON.parse((await copy.settings.get('restored'))!), {
    at: 1_800_000_000_000,
    from: join(root, 'data/roost.db')
  })

  const invalid = (message: RegExp) => ({
    code: 'invalid',
    errors: [{ pointer: '/file', in: 'body', message }]
  })
  await t.rejects(storage.backup('relative.db'), invalid(/absolute/))
  await t.rejects(storage.backup(join(root, 'none/x.db')), invalid(/folder/))
  await t.rejects(storage.backup(file), invalid(/exists/))
  await t.rejects(storage.backup(join(root, 'taken')), invalid(/exists/))
})
