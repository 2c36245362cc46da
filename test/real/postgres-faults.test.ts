// kit: postgres
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { migrations } from '../../plugins/storage/migrations/index.ts'
import { openPostgresStorage } from '../../plugins/storage/postgres/open.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import { RoostError } from '../../src/errors.ts'
import type { JobRecord } from '../../src/domain/job-state.ts'
import { insert, jobOf, logFrame, record } from '../contract/storage-samples.ts'
import { fault, kitUrl, openInSchema, query, secondUrl } from '../fixtures/postgres.ts'

const execute = promisify(execFile)
const writers = 16

/** Writers that go on until they are told to stop; they know what was acknowledged and what was refused. */
function writeAlways(storage: Storage) {
  const acknowledged: string[] = []
  const refused: unknown[] = []
  let isOver = false
  const waiting = new Set<{ count: number; resolve: () => void }>()
  const one = async () => {
    const job = jobOf()
    try {
      await storage.write(async (tx) => {
        await tx.jobs.insert(job)
        await tx.events.append(job.id, [logFrame('a'), logFrame('b')])
        await tx.audit.append(record({ subject: job.id }))
      })
      acknowledged.push(job.id)
      for (const waiter of waiting) if (acknowledged.length >= waiter.count) waiter.resolve()
    } catch (error) {
      refused.push(error)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const done = Promise.all(
    Array.from({ length: writers }, async () => {
      while (!isOver) await one()
    })
  )
  return {
    acknowledged,
    refused,
    /** Resolves when so many more are acknowledged. */
    more: async (count: number) =>
      await new Promise<void>((resolve) => {
        waiting.add({ count: acknowledged.length + count, resolve })
      }),
    stop: async () => {
      isOver = true
      await done
    }
  }
}

/** All that was acknowledged is there, and all that is there is whole. */
async function checkWhole(t: Test, storage: Storage, acknowledged: readonly string[]): Promise<void> {
  const found = new Set<string>()
  for (let after: string | null = null; ;) {
    const page: JobRecord[] = await storage.jobs.listUnfinished(after, 500)
    for (const { id, lastSeq } of page) {
      found.add(id)
      if (lastSeq !== 2) t.fail(`job ${id} is half written`)
    }
    if (page.length < 500) break
    after = page.at(-1)!.id
  }
  t.strictSame(
    acknowledged.filter((id) => !found.has(id)),
    [],
    `${acknowledged.length} acknowledged, ${found.size} there`
  )
  t.match(await storage.audit.verify(), { fault: null })
}

const isUnavailable = (error: unknown) =>
  error instanceof RoostError && error.code === 'storage-unavailable' && error.message.includes('127.0.0.1:')

for (const [script, seconds] of [
  ['restart', 1],
  ['kill9', 1],
  ['pause', 8]
] as const) {
  await t.test(
    `${script} of the server: nothing acknowledged is lost, and it goes on by itself`,
    async (t) => {
      const waits = { connectMs: 1_000, answerMs: 1_500, doubtMs: 1_000, lockMs: 3_000 }
      const { storage } = await openInSchema(t, { waits }, secondUrl())
      const load = writeAlways(storage)
      await load.more(200)
      const over = fault(script, seconds)
      if (script === 'pause') {
        // It stands still once the storage says so; nobody is left hanging then.
        while ((await storage.status()).writable);
        // Side by side: both come well before the server goes on.
        const write = storage.write((tx) => tx.settings.set('a', '1'))
        const read = storage.settings.get('a')
        await Promise.all([
          t.rejects(write, { code: 'storage-unavailable' }),
          t.rejects(read, { code: 'storage-unavailable' })
        ])
        t.match(await storage.status(), { writable: false })
      }
      await over
      await load.more(200)
      await load.stop()
      t.ok(load.refused.length > 0, 'some were refused')
      t.strictSame(
        load.refused.filter((error) => !isUnavailable(error)),
        []
      )
      await checkWhole(t, storage, load.acknowledged)
      t.match(await storage.status(), { writable: true, message: null })
    }
  )
}

await t.test(
  'a backend that is ended in the midst of it costs one group, and is not used again',
  async (t) => {
    const { storage, databaseUrl } = await openInSchema(t)
    const load = writeAlways(storage)
    for (let round = 0; round < 3; round++) {
      await load.more(50)
      const ended = await query(
        `select pg_terminate_backend(l.pid) as ended from pg_locks l
       where locktype = 'advisory' and objid::int8 = hashtext(current_schema())::int8 & 4294967295`,
        databaseUrl
      )
      t.strictSame(ended, [{ ended: true }])
    }
    await load.more(50)
    await load.stop()
    await checkWhole(t, storage, load.acknowledged)
  }
)

await t.test(
  'a second service is refused with who has the database, until the first is closed',
  async (t) => {
    const { storage, databaseUrl } = await openInSchema(t)
    const second = { databaseUrl, dataDir: t.testdir({}), waits: { lockMs: 200 } }
    await t.rejects(openPostgresStorage({ ...second, dataDir: `${second.dataDir}/b` }), {
      message:
        /^The database 127\.0\.0\.1:\d+\/roost is in use by another Roost \(session \d+ from 127\.0\.0\.1, since .*\): stop that one first/
    })
    await insert(storage, jobOf())
    await storage.close()
    const next = await openPostgresStorage({ ...second, dataDir: `${second.dataDir}/b` })
    t.teardown(() => next.close())
    await insert(next, jobOf())
  }
)

await t.test('a newer schema is refused with both versions, and each step runs once', async (t) => {
  const { storage, databaseUrl } = await openInSchema(t)
  await storage.close()
  const again = await openPostgresStorage({ databaseUrl, dataDir: t.testdir() })
  await again.close()
  const versions = await query('select version::int from schema_version order by version', databaseUrl)
  t.strictSame(
    versions.map(({ version }) => version),
    migrations.map(({ version }) => version)
  )
  await query("insert into schema_version values (99, 'future', 0)", databaseUrl)
  await t.rejects(openPostgresStorage({ databaseUrl, dataDir: t.testdir() }), {
    message: new RegExp(
      `^The database 127\\.0\\.0\\.1:\\d+/roost has schema version 99, and this program knows versions up to ${migrations.at(-1)!.version}:`
    )
  })
})

await t.test('a wrong password, database or schema stops the start with what to do', async (t) => {
  const url = new URL(kitUrl())
  const open = async (change: (url: URL) => void) => {
    const changed = new URL(url)
    change(changed)
    return await openPostgresStorage({ databaseUrl: changed.href, dataDir: t.testdir() })
  }
  await t.rejects(
    open((changed) => (changed.password = 'hunter2')),
    { message: /refused the user or the password \(28P01\)\. Correct them/ }
  )
  await t.rejects(
    open((changed) => (changed.pathname = '/none')),
    { message: /:\d+\/none does not exist \(3D000\)\. Make it: createdb/ }
  )
  await t.rejects(
    open((changed) => changed.searchParams.set('options', '-c search_path=none')),
    { message: /has no schema to store in/ }
  )
  await t.rejects(
    open((changed) => changed.searchParams.set('sslmode', 'require')),
    { message: /The database 127\.0\.0\.1:\d+\/roost .*SSL/ }
  )
})

await t.test('every text column compares by bytes, those of later migrations too', async (t) => {
  const { databaseUrl } = await openInSchema(t)
  const others = await query(
    `select c.relname, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
     join pg_namespace n on n.oid = c.relnamespace and n.nspname = current_schema()
     join pg_collation l on l.oid = a.attcollation where a.attnum > 0 and l.collname <> 'C'`,
    databaseUrl
  )
  t.strictSame(others, [])
})

await t.test('a NUL that came so far is 422 in writes and in reads', async (t) => {
  const { storage } = await openInSchema(t)
  const invalid = { code: 'invalid', statusCode: 422, message: /NUL/ }
  await t.rejects(storage.settings.get('a\0'), invalid)
  const [bad, good] = await Promise.allSettled([
    storage.write((tx) => tx.settings.set('a', 'x\0')),
    storage.write((tx) => tx.settings.set('b', 'y'))
  ])
  t.match(bad, { status: 'rejected', reason: invalid })
  t.match(good, { status: 'fulfilled' })
})

await t.test(
  'a work that swallows the error of a statement fails, as Postgres undid the rest of it',
  async (t) => {
    const { storage } = await openInSchema(t)
    const works = await Promise.allSettled([
      storage.write(async (tx) => {
        await tx.settings.set('before', '1')
        await tx.settings.set('a', '\0').catch(() => {})
      }),
      storage.write((tx) => tx.settings.set('other', '1'))
    ])
    t.strictSame(
      works.map(({ status }) => status),
      ['rejected', 'fulfilled']
    )
    t.equal(await storage.settings.get('before'), null)
    t.equal(await storage.settings.get('other'), '1')
  }
)

await t.test(
  'a dump that was restored starts paused; another data directory gives up what ran',
  async (t) => {
    const { storage, databaseUrl, schema } = await openInSchema(t)
    const folder = t.testdir({})
    await insert(storage, jobOf())
    t.equal(await storage.settings.get('restored'), null)
    await storage.close()
    const moved = await openPostgresStorage({ databaseUrl, dataDir: `${folder}/other` })
    t.match(await moved.settings.get('moved'), /"at"/)
    t.equal(await moved.settings.get('restored'), null)
    await moved.write((tx) => tx.settings.set('moved', null))
    await moved.close()
    const same = await openPostgresStorage({ databaseUrl, dataDir: `${folder}/other` })
    t.equal(await same.settings.get('moved'), null)
    await same.close()

    const file = `${folder}/dump`
    await execute('pg_dump', ['--format=custom', `--schema=${schema}`, `--file=${file}`, kitUrl()])
    await query(`drop schema ${schema} cascade`)
    await execute('pg_restore', [`--dbname=${kitUrl()}`, file])
    const restored = await openPostgresStorage({ databaseUrl, dataDir: `${folder}/other` })
    t.teardown(() => restored.close())
    t.match(JSON.parse((await restored.settings.get('restored'))!), { from: /^127\.0\.0\.1:/ })
    t.equal((await restored.jobs.listUnfinished(null, 10)).length, 1)
    await t.rejects(restored.backup('/x'), { code: 'not-configured', message: /pg_dump/ })
  }
)
