import { statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fastify from 'fastify'
import t from 'tap'
import observability from '../../plugins/observability/index.ts'
import storagePlugin from '../../plugins/storage/index.ts'
import { migrations } from '../../plugins/storage/migrations/index.ts'
import { first } from '../../plugins/storage/migrations/001-first.ts'
import { openStorage } from '../../plugins/storage/open.ts'
import { openSqliteStorage } from '../../plugins/storage/sqlite/open.ts'
import { createJob } from '../../src/domain/job-state.ts'
import { newId } from '../../src/ids.ts'

await t.test('the plugin opens the storage and gives the directory back', async (t) => {
  const dataDir = t.testdir()
  const app = fastify()
  await app.register(observability, { metricsPort: null, host: '127.0.0.1', version: '0', tracing: null })
  await app.register(storagePlugin, { dataDir })
  await app.ready()
  await app.storage.write((tx) => tx.settings.set('node', 'a'))
  await app.close()
  const storage = await openStorage({ dataDir })
  t.equal(await storage.settings.get('node'), 'a')
  await storage.close()
})

await t.test('a database URL without a dialect is refused by name', async (t) => {
  await t.rejects(openStorage({ dataDir: t.testdir(), databaseUrl: 'mysql://me:secret@host/db' }), {
    message: /^ROOST_DATABASE_URL: .*"mysql"(?!.*secret)/
  })
})

await t.test('its files are for its user alone', async (t) => {
  const dataDir = join(t.testdir(), 'data')
  const storage = await openSqliteStorage({ dataDir })
  t.teardown(() => storage.close())
  await storage.write((tx) => tx.settings.set('a', '1'))
  t.equal(statSync(dataDir).mode & 0o777, 0o700)
  for (const name of ['roost.db', 'roost.db-wal', 'roost.db-shm', 'lock.db', 'lock.pid'])
    t.equal(statSync(join(dataDir, name)).mode & 0o777, 0o600, name)
})

await t.test('migrations count up from 1, and a newer schema is refused with both versions', async (t) => {
  t.strictSame(
    migrations.map(({ version }) => version),
    migrations.map((_, i) => i + 1)
  )
  const dataDir = t.testdir()
  const storage = await openSqliteStorage({ dataDir })
  t.equal((await storage.status()).schemaVersion, migrations.length)
  await storage.close()
  await (await openSqliteStorage({ dataDir })).close()
  const database = new Database(join(dataDir, 'roost.db'))
  t.strictSame(
    database.prepare('select version from schema_version').pluck().all(),
    migrations.map(({ version }) => version),
    'each step once'
  )
  database.exec("insert into schema_version values (99, 'future', 0)")
  database.close()
  await t.rejects(
    openSqliteStorage({ dataDir }),
    new RegExp(`roost\\.db has schema version 99, and this program knows versions up to ${migrations.length}`)
  )
})

await t.test('jobs of the first schema come along', async (t) => {
  const dataDir = t.testdir()
  const database = new Database(join(dataDir, 'roost.db'))
  const words = { numbered: 'integer primary key', integer: 'integer', table: '', clustered: '' }
  for (const statement of first.statements(words)) database.exec(statement)
  const spec = { task: { type: 'process', command: ['true'] } }
  database.exec(`
    create table schema_version (version integer primary key, name text not null, applied_at integer not null);
    insert into schema_version values (1, 'first', 0);
    insert into jobs (id, tenant, state, finished, created_at, spec)
      values ('j', 'default', 'running', 0, 1, '${JSON.stringify(spec)}');
    insert into attempts (job_id, number, state, node, runtime, gpus) values ('j', 1, 'running', 'n', 'process', '[]')`)
  database.close()
  const storage = await openSqliteStorage({ dataDir })
  t.teardown(() => storage.close())
  t.match(await storage.jobs.find('j'), {
    spec,
    submittedBy: 'local',
    attempts: [{ number: 1, preemptedBy: null }]
  })
})

await t.test('the room of purged jobs goes back to the disk', async (t) => {
  const dataDir = t.testdir()
  const storage = await openSqliteStorage({ dataDir })
  t.teardown(() => storage.close())
  const { job } = createJob(newId(), 'default', { task: { type: 'process', command: ['true'] } }, 0)
  const text = 'x'.repeat(60_000)
  await storage.write(async (tx) => {
    await tx.jobs.insert(job)
    await tx.events.append(
      job.id,
      Array.from({ length: 150 }, () => ({
        type: 'log' as const,
        time: '',
        attempt: 1,
        stream: 'stdout' as const,
        text
      }))
    )
  })
  const database = new Database(join(dataDir, 'roost.db'), { readonly: true })
  t.teardown(() => database.close())
  const pages = () => Number(database.pragma('page_count', { simple: true }))
  const before = pages()
  await storage.write((tx) => tx.jobs.remove(job.id))
  for (let i = 0; i < 256; i++) await storage.write((tx) => tx.settings.set('a', String(i)))
  t.ok(before > 2200 && pages() <= before - 1000, `${before} pages, then ${pages()}`)
  await storage.write((tx) => tx.jobs.insert(job))
  t.strictSame(await storage.jobs.find(job.id), job)
})

await t.test('a changed, removed or forged audit entry breaks the chain where it stands', async (t) => {
  const dataDir = t.testdir()
  const tamper = async (sql: string) => {
    const database = new Database(join(dataDir, 'roost.db'))
    database.exec(sql)
    database.close()
    const storage = await openSqliteStorage({ dataDir })
    const verdict = await storage.audit.verify()
    await storage.close()
    return verdict
  }
  const storage = await openSqliteStorage({ dataDir })
  for (let i = 1; i <= 1200; i++) {
    void storage.write((tx) =>
      tx.audit.append({
        at: i,
        actor: 'a',
        tenant: 'default',
        action: 'x',
        subject: `s${i}`,
        requestId: null,
        detail: { i }
      })
    )
    // A turn each, so that each has an entry of its own.
    if (i % 3 === 0) await storage.write(async () => {})
  }
  await storage.close()
  const { entries } = await tamper('select 1')
  t.equal(entries, 400)
  t.strictSame(await tamper(`update audit set subject = 'forged' where seq = 350`), {
    entries: 349,
    brokenAt: 350
  })
  t.strictSame(await tamper(`update audit set detail = '{}' where seq = 200`), {
    entries: 199,
    brokenAt: 200
  })
  t.strictSame(await tamper('delete from audit where seq = 100'), { entries: 99, brokenAt: 101 })
})
