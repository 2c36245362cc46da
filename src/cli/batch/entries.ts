import { exitOfJob } from '../exit.ts'
import type { Job, JobState, JobSpec } from '../session.ts'

/** Every job of a batch has this label, so that `ps` and `cancel` find them. */
export const batchLabel = 'roost.dev/batch'

/** One job of a batch on its way. */
export interface Entry {
  line: number
  spec: JobSpec
  id: string | null
  /** `unsent` until the service has it; `refused` where it will not take it; `gone` where it was removed before its end was seen. */
  state: 'unsent' | 'refused' | 'gone' | JobState
  message: string | null
  end: End | null
}

/** What is kept of a finished job: of 10,000 the whole would take much room. */
export interface End {
  exit: number
  exitCode: number | null
  waitedMs: number | null
  ranMs: number | null
}

export function endOf(job: Job): End {
  const started = job.startedAt === null ? null : Date.parse(job.startedAt)
  return {
    exit: exitOfJob(job),
    exitCode: job.result?.exitCode ?? null,
    waitedMs: started === null ? null : started - Date.parse(job.createdAt),
    ranMs: started === null || job.finishedAt === null ? null : Date.parse(job.finishedAt) - started
  }
}

export interface Counts {
  total: number
  unsent: number
  queued: number
  running: number
  succeeded: number
  failed: number
  cancelled: number
}

const over: readonly Entry['state'][] = ['succeeded', 'failed', 'cancelled', 'refused', 'gone']
export const isOver = ({ state }: Entry): boolean => over.includes(state)

/** How many stand where. Refused ones and those whose end nobody saw count as failed. */
export function countEntries(entries: readonly Entry[]): Counts {
  const counts: Counts = {
    total: entries.length,
    unsent: 0,
    queued: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0
  }
  for (const { state } of entries) {
    if (state === 'refused' || state === 'gone') counts.failed++
    else if (state === 'scheduled') counts.running++
    else counts[state]++
  }
  return counts
}

export const finishedOf = ({ succeeded, failed, cancelled }: Counts): number => succeeded + failed + cancelled
