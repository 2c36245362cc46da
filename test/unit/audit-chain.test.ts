import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { migrations } from '../../plugins/storage/migrations/index.ts'
import { createAuditChain } from '../../plugins/storage/repositories/audit-append.ts'
import { kyselyOver, SqliteConnection } from '../../plugins/storage/sqlite/connection.ts'
import { openSqliteStorage } from '../../plugins/storage/sqlite/open.ts'
import type { AuditAnchor, AuditRecord, AuditVerdict } from '../../src/contracts/storage.ts'
import { record } from '../contract/storage-samples.ts'

const columns = [
  'at',
  'actor',
  'actor_name',
  'tenant',
  'action',
  'subject',
  'request_id',
  'address',
  'client',
  'detail',
  'previous_hash',
  'hash'
] as const

/** A chain of `entries`; each third one holds two records. */
async function writeChain(dataDir: string, entries: number): Promise<AuditAnchor> {
  const storage = await openSqliteStorage({ dataDir })
  for (let i = 1; i <= entries; i++) {
    const change = (more: Partial<AuditRecord> = {}) =>
      storage.write((tx) =>
        tx.audit.append(
          record({
            subject: `s${i}`,
            requestId: `r${i}`,
            address: '10.0.0.1',
            client: 'roost-cli/1',
            detail: { before: { z: i, a: null }, after: { z: i + 1 } },
            ...more
          })
        )
      )
    await (i % 3 === 0 ? Promise.all([change(), change({ subject: 'other', tenant: 'b' })]) : change())
  }
  const head = (await storage.audit.head())!
  await storage.close()
  return head
}

/** The verdict on a copy of the closed database after `edit`. */
async function verdictAfter(
  t: Test,
  dataDir: string,
  edit: (database: Database.Database) => void,
  anchor?: AuditAnchor
): Promise<AuditVerdict> {
  const copy = join(t.testdirName, 'copy')
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  copyFileSync(join(dataDir, 'roost.db'), join(copy, 'roost.db'))
  const database = new Database(join(copy, 'roost.db'))
  edit(database)
  database.close()
  const storage = await openSqliteStorage({ dataDir: copy })
  const verdict = await storage.audit.verify(anchor)
  await storage.close()
  return verdict
}

await t.test('what was edited, removed, moved or put in is found where it stands', async (t) => {
  const dataDir = join(t.testdir(), 'data')
  const head = await writeChain(dataDir, 300)
  const after = (sql: string) => verdictAfter(t, dataDir, (database) => database.exec(sql))
  t.strictSame(await after('select 1'), { entries: 300, head, fault: null, anchor: null })
  t.match(await after(`update audit set subject = 'forged' where seq = 250`), {
    entries: 249,
    head: { seq: 249 },
    fault: { seq: 250, message: 'Entry 250 is not what it was when it was written' }
  })
  t.match(await after('delete from audit where seq = 100'), {
    entries: 99,
    fault: { seq: 100, message: 'Entry 100 is missing: after 99 comes 101' }
  })
  t.match(await after('delete from audit where seq = 1'), { entries: 0, head: null, fault: { seq: 1 } })
  t.match(await after('delete from audit where seq = 100; update audit set seq = seq - 1 where seq > 100'), {
    fault: { seq: 100, message: /^Entry 100 does not follow/ }
  })
  t.match(
    await after(
      'update audit set seq = -1 where seq = 7; update audit set seq = 7 where seq = 8; update audit set seq = 8 where seq = -1'
    ),
    { fault: { seq: 7 } }
  )
  t.match(await after(`update audit set detail = '{"records":' where seq = 9`), { fault: { seq: 9 } })
  t.match(
    await after(
      `update audit set detail = replace(detail, '"subject":"other"', '"subject":"nobody"') where seq = 12`
    ),
    { fault: { seq: 12 } },
    'a record within an entry'
  )
})

await t.test('what filters leave out is found; what was put into the index is not believed', async (t) => {
  const dataDir = join(t.testdir(), 'data')
  await writeChain(dataDir, 300)
  const after = (sql: string) => verdictAfter(t, dataDir, (database) => database.exec(sql))
  t.match(await after(`delete from audit_index where kind = 'subject' and value = 's250'`), {
    entries: 249,
    fault: { seq: 250, message: /^Entry 250 is whole, but filters by subject leave it out/ }
  })
  t.match(await after(`delete from audit_index where kind = 'tenant' and value = 'b' and seq > 3`), {
    fault: { seq: 6, message: /filters by tenant/ }
  })
  const database = new Database(join(dataDir, 'roost.db'))
  database.exec(`insert into audit_index values ('actor', 'innocent', 1)`)
  database.close()
  const storage = await openSqliteStorage({ dataDir })
  t.teardown(() => storage.close())
  t.same((await storage.audit.list({ actor: 'innocent', limit: 5 })).items, [])
})

await t.test('a cut tail is found by a head that was kept elsewhere', async (t) => {
  const dataDir = join(t.testdir(), 'data')
  const head = await writeChain(dataDir, 30)
  const cut = (database: Database.Database) => database.exec('delete from audit where seq > 20')
  t.match(await verdictAfter(t, dataDir, cut), { fault: null, head: { seq: 20 } }, 'the chain alone is whole')
  t.match(await verdictAfter(t, dataDir, cut, head), { fault: null, anchor: 'missing' })
  t.match(await verdictAfter(t, dataDir, () => {}, head), { fault: null, anchor: 'found' })
  t.match(await verdictAfter(t, dataDir, () => {}, { ...head, hash: 'f'.repeat(64) }), {
    anchor: 'different'
  })
})

await t.test('every edit of a value, removal and swap is found', async (t) => {
  const dataDir = join(t.testdir(), 'data')
  const head = await writeChain(dataDir, 12)
  const seq = fc.integer({ min: 1, max: 12 })
  const edit = fc.oneof(
    fc.record({ kind: fc.constant('remove' as const), seq }),
    fc
      .record({ kind: fc.constant('swap' as const), seq, other: seq })
      .filter((swap) => swap.seq !== swap.other),
    fc.record({
      kind: fc.constant('edit' as const),
      seq,
      column: fc.constantFrom(...columns),
      at: fc.nat(),
      letter: fc.constantFrom('0', 'a', ' ', '"', '}', 'ü')
    }),
    fc.record({ kind: fc.constant('empty' as const), seq, column: fc.constantFrom(...columns) })
  )
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      let same = false
      const verdict = await verdictAfter(
        t,
        dataDir,
        (database) => {
          const all = () => JSON.stringify(database.prepare('select * from audit order by seq').all())
          const before = all()
          for (const change of edits) apply(database, change)
          same = all() === before
        },
        head
      )
      const isFound = verdict.fault !== null || verdict.anchor !== 'found'
      return isFound !== same
    }),
    { numRuns: 120 }
  )
})

type Edit =
  | { kind: 'remove'; seq: number }
  | { kind: 'swap'; seq: number; other: number }
  | { kind: 'edit'; seq: number; column: (typeof columns)[number]; at: number; letter: string }
  | { kind: 'empty'; seq: number; column: (typeof columns)[number] }

function apply(database: Database.Database, change: Edit): void {
  const { seq } = change
  if (change.kind === 'remove') {
    database.prepare('delete from audit where seq = ?').run(seq)
  } else if (change.kind === 'swap') {
    const move = database.prepare('update audit set seq = ? where seq = ?')
    move.run(-1, seq)
    move.run(seq, change.other)
    move.run(change.other, -1)
  } else {
    const { column } = change
    const kept = database.prepare(`select ${column} as value from audit where seq = ?`).get(seq) as
      | { value: string | number | null }
      | undefined
    if (kept === undefined) return
    const value = change.kind === 'empty' ? emptied(column) : altered(kept.value, change)
    database.prepare(`update audit set ${column} = ? where seq = ?`).run(value, seq)
  }
}

function emptied(column: string): string | number | null {
  if (column === 'at') return 0
  if (['actor_name', 'request_id', 'address', 'client'].includes(column)) return null
  return column === 'detail' ? '{}' : ''
}

function altered(value: string | number | null, { at, letter }: { at: number; letter: string }) {
  if (typeof value === 'number') return value + (at % 1000) + 1
  const text = value ?? ''
  const place = at % (text.length + 1)
  return text.slice(0, place) + letter + text.slice(place)
}

await t.test(
  'entries of before migration 003 stay whole and can be found by what they speak of',
  async (t) => {
    const dataDir = t.testdir()
    const file = join(dataDir, 'roost.db')
    const old = new Database(file)
    const words = {
      numbered: 'integer primary key',
      integer: 'integer',
      table: ' strict',
      clustered: ' strict, without rowid'
    }
    for (const statement of migrations[0]!.statements(words)) old.exec(statement)
    old.exec(
      'create table schema_version (version integer primary key, name text not null, applied_at integer not null)'
    )
    old.exec(`insert into schema_version values (1, 'first', 0)`)
    // As version 1 wrote it: its members sorted, `detail` as it came.
    old.exec(
      `insert into audit values (1, 5, 'local', 'default', 'job.submit', 'j1', 'r1', '{"name":"n","a":1}', '${'0'.repeat(64)}',
      '4336f61518300033dfae3d5989f86006fa4aaf508ccad88e8ef0a26616223a70')`
    )
    old.exec(`insert into audit_subjects values ('default', 'job.submit', 1)`)
    old.close()
    const storage = await openSqliteStorage({ dataDir })
    t.teardown(() => storage.close())
    await storage.write((tx) => tx.audit.append(record({ subject: 'j2' })))
    t.match(await storage.audit.verify(), { entries: 2, fault: null })
    t.match(await storage.audit.list({ subject: 'j1', limit: 5 }), {
      items: [{ seq: 1, actorName: null, address: null, detail: { name: 'n', a: 1 } }],
      cursor: null
    })
    t.equal((await storage.audit.list({ tenant: 'default', action: 'job.submit', limit: 5 })).items.length, 1)
  }
)

await t.test('the head is read once, and anew after a commit that failed or another tenure', async (t) => {
  const dataDir = t.testdir()
  await (await openSqliteStorage({ dataDir })).close()
  const connection = new SqliteConnection(join(dataDir, 'roost.db'), {})
  let reads = 0
  const execute = connection.executeQuery.bind(connection)
  connection.executeQuery = async (query) => {
    if (query.sql.startsWith('select')) reads++
    return await execute(query)
  }
  let tenure = 1
  const chain = createAuditChain(kyselyOver(connection), undefined, () => tenure)
  const commit = async (isStored = true, records = [record()]) => {
    connection.database.exec('begin')
    await chain.add(records)
    connection.database.exec(isStored ? 'commit' : 'rollback')
    chain.settle(isStored)
    return reads
  }
  t.strictSame([await commit(), await commit(), await commit(true, []), await commit()], [1, 1, 1, 1])
  t.strictSame([await commit(false), await commit(), await commit()], [1, 2, 2])
  tenure = 2
  t.strictSame([await commit(), await commit()], [3, 3])
  connection.close()
  const storage = await openSqliteStorage({ dataDir })
  t.teardown(() => storage.close())
  t.match(await storage.audit.verify(), { entries: 7, fault: null })
})
