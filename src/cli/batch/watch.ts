import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../exit.ts'
import { limited } from '../limited.ts'
import { jobPages } from '../commands/ps.ts'
import { answer, retrying, type ApiClient, type JobState, type Session } from '../session.ts'
import { batchLabel, endOf, isOver, type Entry } from './entries.ts'
import type { Progress } from './progress.ts'

const atOnce = 16
const minPauseMs = 200
const maxPauseMs = 5_000
/** A look costs the service about what it took; at most this share of its time is spent on looks. */
const share = 0.2

/**
 * Follows every entry to its end: looks at the list of those that have not ended, and asks once about each that is no
 * longer in it. Survives restarts of the service. Rejects where the signal comes first.
 */
export async function watchEntries(
  session: Session,
  entries: readonly Entry[],
  batch: string,
  signal: AbortSignal,
  progress: Progress
): Promise<void> {
  const retry = {
    signal,
    waitsOutBusy: true,
    onWait: (error: Error) => progress.stuck(error)
  }
  for (;;) {
    signal.throwIfAborted()
    const began = Date.now()
    let tookMs = 0
    // Known before the list is read: what is accepted meanwhile may not be in it and has not ended for that.
    const known = entries.filter((entry) => entry.id !== null && !isOver(entry))
    if (known.length > 0) {
      const unfinished = await retrying(session, (client) => listUnfinished(client, batch), retry)
      progress.goesOn()
      tookMs = Date.now() - began
      for (const entry of known) entry.state = unfinished.get(entry.id!) ?? entry.state
      await limited(
        known.filter(({ id }) => !unfinished.has(id!)),
        atOnce,
        (entry) => lookUp(session, entry, retry)
      )
    }
    if (entries.every(isOver)) return
    await sleep(Math.min(maxPauseMs, Math.max(minPauseMs, tookMs / share)), undefined, { signal })
  }
}

async function listUnfinished(client: ApiClient, batch: string): Promise<Map<string, JobState>> {
  const states = new Map<string, JobState>()
  for await (const { items } of jobPages(client, {
    state: 'queued,scheduled,running',
    label: `${batchLabel}=${batch}`
  })) {
    for (const { id, state } of items) states.set(id, state)
  }
  return states
}

async function lookUp(session: Session, entry: Entry, retry: Parameters<typeof retrying>[2]): Promise<void> {
  try {
    const job = await retrying(
      session,
      (client) => answer(client.GET('/v1/jobs/{id}', { params: { path: { id: entry.id! } } })),
      retry
    )
    entry.state = job.state
    if (job.finishedAt !== null) Object.assign(entry, { message: job.message, end: endOf(job) })
  } catch (error) {
    if (!(error instanceof ApiError) || error.problem.status !== 404) throw error
    Object.assign(entry, {
      state: 'gone',
      message: 'was removed before its end was seen (ttlSecondsAfterFinished)'
    })
  }
}

/** Cancels every unfinished job of the batch. */
export async function cancelAll(session: Session, entries: readonly Entry[], batch: string): Promise<void> {
  if (!entries.some(({ id }) => id !== null)) return
  const unfinished = await listUnfinished(session.client, batch)
  await limited([...unfinished.keys()], atOnce, async (id) => {
    try {
      await answer(session.client.DELETE('/v1/jobs/{id}', { params: { path: { id } } }))
    } catch (error) {
      // It ended in the meantime.
      if (!(error instanceof ApiError) || error.code !== 'already-finished') throw error
    }
  })
}
