import { openStorage } from '../plugins/storage/open.ts'
import { createJob, type JobRecord } from '../src/domain/job-state.ts'
import { newId } from '../src/ids.ts'
import type { FrameBody } from '../src/schemas/frame.ts'

/** Frames in one commit while a log is written. */
const chunk = 5_000

/** The log of a job that printed `frames - 2` lines, each a frame of its own. */
export function longLog(frames: number): FrameBody[] {
  const time = '2026-11-01T12:00:00.000Z'
  const lines = Array.from({ length: frames - 2 }, (_, index): FrameBody => ({
    type: 'log',
    time,
    attempt: 1,
    stream: 'stdout',
    text: `step ${index}: 42 files compressed, nothing to complain of\n`
  }))
  return [
    { type: 'status', time, state: 'queued', attempt: null, node: null, reason: null },
    ...lines,
    { type: 'result', time, state: 'succeeded', exitCode: 0, output: null }
  ]
}

/**
 * Writes a finished job with a long log into a data directory that no service holds; returns its id. A job that printed
 * this much by itself would need hours, as output is batched.
 */
export async function storeLongLog(dataDir: string, frames: number): Promise<string> {
  const storage = await openStorage({ dataDir })
  try {
    const now = Date.now()
    const created = createJob(
      newId(now),
      'default',
      { task: { type: 'process', command: ['true'] } },
      now
    ).job
    const job: JobRecord = {
      ...created,
      state: 'succeeded',
      startedAt: now,
      finishedAt: now,
      result: { exitCode: 0, output: null }
    }
    await storage.write((tx) => tx.jobs.insert(job))
    const log = longLog(frames)
    for (let start = 0; start < log.length; start += chunk)
      await storage.write((tx) => tx.events.append(job.id, log.slice(start, start + chunk)))
    return job.id
  } finally {
    await storage.close()
  }
}
