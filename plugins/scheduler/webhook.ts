import type { Transaction } from '../../src/contracts/storage.ts'
import type { JobRecord } from '../../src/domain/job-state.ts'
import { eventOf, readTarget } from '../../src/domain/webhook.ts'
import { newId } from '../../src/ids.ts'

/**
 * Where the job has just ended and names a webhook: the call to be made, in the transaction that ends the job. Whatever
 * happens to the service afterwards, it is made.
 */
export async function keepWebhook(tx: Transaction, job: JobRecord): Promise<void> {
  const { state, spec } = job
  if (spec.webhook === undefined || (state !== 'succeeded' && state !== 'failed' && state !== 'cancelled'))
    return
  const { url, secret = null } = spec.webhook
  const target = readTarget(url)
  const event = eventOf({ ...job, state })
  const createdAt = job.finishedAt ?? job.createdAt
  await tx.webhooks.insert({
    id: `msg_${newId()}`,
    jobId: job.id,
    tenant: job.tenant,
    submittedBy: job.submittedBy,
    submittedByName: job.submittedByName,
    url,
    host: 'fault' in target ? '' : target.host,
    secret,
    type: event.type,
    body: JSON.stringify(event),
    state: 'pending',
    attempts: 0,
    nextAt: createdAt,
    lastAt: null,
    lastStatus: null,
    lastError: null,
    createdAt,
    endedAt: null
  })
}
