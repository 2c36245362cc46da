import t from 'tap'
import { openSqliteStorage } from '../../plugins/storage/sqlite/open.ts'
import { storageContract, type OpenStorage } from './storage.ts'

const openSqlite =
  (handPrepared: boolean): OpenStorage =>
  async (t) => {
    const storage = await openSqliteStorage({ dataDir: t.testdir(), handPrepared })
    return { storage, close: () => storage.close() }
  }

/** Every dialect; `skip` names what is missing here. */
const dialects: Record<string, { open: OpenStorage; skip: string | false }> = {
  sqlite: { open: openSqlite(true), skip: false },
  'sqlite, no statement prepared by hand': { open: openSqlite(false), skip: false }
}

for (const [name, { open, skip }] of Object.entries(dialects)) {
  await t.test(name, { skip }, async (t) => {
    await storageContract(t, open)
  })
}
