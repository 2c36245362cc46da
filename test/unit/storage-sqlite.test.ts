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

await t.test('migrations count up, and a newer schema is refused with both versions', async (t) => {
  const versions = migrations.map(({ version }) => version)
  const newest = Math.max(...versions)
  t.strictSame(
    versions,
    [...new Set(versions)].sort((a, b) => a - b)
  )
  const dataDir = t.testdir()
  const storage = await openSqliteStorage({ dataDir })
  t.equal((await storage.status()).schemaVersion, newest)
  await storage.close()
  await (await openSqliteStorage({ dataDir })).close()
  const database = new Database(join(dataDir, 'roost.db'))
  t.strictSame(
    database.prepare('select version from schema_version').pluck().all(),
    versions,
    'each step once'
  )
  database.exec("insert into schema_version values (99, 'future', 0)")
  database.close()
  await t.rejects(
    openSqliteStorage({ dataDir }),
    new RegExp(`roost\\.db has schema version 99, and this program knows versions up to ${newest}`)
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
    submittedByName: 'local',
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
