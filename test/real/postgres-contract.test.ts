// kit: postgres
import t from 'tap'
import { storageContract, type OpenStorage } from '../contract/storage.ts'
import { openInSchema } from '../fixtures/postgres.ts'

/** Every case has a schema of its own, so that they do not meet. */
const open =
  (singleStatementAppend: boolean): OpenStorage =>
  async (t) => {
    const { storage } = await openInSchema(t, { singleStatementAppend })
    return { storage, close: () => storage.close() }
  }

await t.test('Postgres', async (t) => {
  await storageContract(t, open(true))
})
await t.test('Postgres, appending through the repositories alone', async (t) => {
  await storageContract(t, open(false))
})
