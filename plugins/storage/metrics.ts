import type { Metrics } from '../../src/contracts/observability.ts'
import type { Storage } from '../../src/contracts/storage.ts'

/** Hears of every commit of the dialect, before its waiters do. */
export interface CommitObserver {
  /** `works` writes shared it; `seconds` is what the commit itself took, the fsync above all. */
  committed(works: number, seconds: number): void
  /** It failed, and `works` writes with it. */
  failed(works: number): void
}

/** An fsync of a good disk takes a tenth of a millisecond, of a bad day seconds. */
const commitBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const worksBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256]

/** Counts the commits of whichever dialect is open. */
export function createCommitObserver({ counter, histogram }: Metrics): CommitObserver {
  const seconds = histogram({
    name: 'roost_storage_commit_seconds',
    help: 'What a commit took until it was on disk.',
    buckets: commitBuckets
  })
  const size = histogram({
    name: 'roost_storage_commit_writes',
    help: 'Writes that shared one commit.',
    buckets: worksBuckets
  })
  const failures = counter({
    name: 'roost_storage_commit_failures_total',
    help: 'Commits that failed: what they held was answered with storage-unavailable.'
  })
  return {
    committed(works, took) {
      seconds.observe(took)
      size.observe(works)
    },
    failed: () => failures.add()
  }
}

/** How the storage is, asked for each scrape. */
export function addStorageMetrics({ gauge }: Metrics, storage: Storage): void {
  gauge({ name: 'roost_storage_writable', help: '1 while the storage takes writes.' }, async (set) =>
    set((await storage.status()).writable ? 1 : 0)
  )
  gauge({ name: 'roost_storage_bytes', help: 'Size of the database, where it is known.' }, async (set) => {
    const { bytes } = await storage.status()
    if (bytes !== null) set(bytes)
  })
}
