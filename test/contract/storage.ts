import type { Test } from 'tap'
import type { Storage } from '../../src/contracts/storage.ts'
import { eventCases } from './storage-events.ts'
import { jobCases, listCases } from './storage-jobs.ts'
import { otherCases } from './storage-others.ts'
import type { StorageCases } from './storage-samples.ts'
import { writeCases } from './storage-writes.ts'

export type OpenStorage = (t: Test) => Promise<{ storage: Storage; close: () => Promise<void> }>

/** What every dialect must do. `open` gives an empty storage. */
export async function storageContract(t: Test, open: OpenStorage): Promise<void> {
  const cases: StorageCases = {
    ...jobCases,
    ...listCases,
    ...eventCases,
    ...writeCases,
    ...otherCases
  }
  for (const [name, check] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const { storage, close } = await open(t)
      t.teardown(close)
      await check(t, storage)
    })
  }
}
