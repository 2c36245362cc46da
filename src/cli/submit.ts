import { randomUUID } from 'node:crypto'
import { answer, retrying, type Job, type JobSpec, type RetryOptions, type Session } from './session.ts'

export interface SubmitOptions extends RetryOptions {
  /** Makes a second submission of the same job harmless; default: one of its own. */
  key?: string | undefined
  /** Refuse where an unfinished job has the same name. */
  uniqueName?: boolean | undefined
}

/** Submits a job once, whatever happens to the connection on the way. Throws ApiError and Unreachable. */
export async function submit(
  session: Session,
  spec: JobSpec,
  { key = randomUUID(), uniqueName = false, ...retry }: SubmitOptions = {}
): Promise<Job> {
  const query = uniqueName ? { unique: 'name' as const } : {}
  return await retrying(
    session,
    async (client) => {
      const accepted = await answer(
        client.POST('/schedule', { body: spec, params: { query }, headers: { 'idempotency-key': key } })
      )
      return accepted as Job
    },
    retry
  )
}

/** Where the job would go now and why; nothing is stored. */
export async function plan(session: Session, spec: JobSpec): Promise<NonNullable<Job['placement']>> {
  const placement = await answer(
    session.client.POST('/schedule', { body: spec, params: { query: { dryRun: true } } })
  )
  return placement as NonNullable<Job['placement']>
}
