import type { Log } from '../log.ts'
import type { SqliteConnection } from './connection.ts'

const everyCommits = 256
/** Free pages below this are kept: the next jobs use them. */
const keptPages = 1024
const pagesAtOnce = 1024

/**
 * Pages of purged jobs stay in the file for new ones. Where they are more than a quarter of it, some go back to the disk
 * every few commits: little at a time, as nothing else runs meanwhile. Call the result after each commit.
 */
export function createGiveBack({ database }: SqliteConnection, log: Log): () => void {
  const count = (pragma: string) => Number(database.pragma(pragma, { simple: true }))
  let commits = 0
  return () => {
    commits += 1
    if (commits % everyCommits !== 0) return
    try {
      if (count('freelist_count') > Math.max(keptPages, count('page_count') / 4))
        database.pragma(`incremental_vacuum(${pagesAtOnce})`)
    } catch (error) {
      log.warn({ err: error }, 'free pages of the database could not be given back')
    }
  }
}
