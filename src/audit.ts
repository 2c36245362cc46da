import { traceIdOf } from './trace-context.ts'
import type { Clock } from './contracts/clock.ts'
import type { AuditRecord, Storage } from './contracts/storage.ts'
import type { Principal } from './schemas/token.ts'

/** Who asks for a change and from where: what every audit record begins with. */
export interface Requester {
  principal: Principal
  requestId: string | null
  /** The address that the request came from; null where no request was made. */
  address?: string | null
  /** The program that asked, by its User-Agent; null where it gave none. */
  client?: string | null
  /** The caller's trace context (W3C). */
  traceparent?: string
}

/** Roost itself, where a change is nobody's wish: its start, the removal of what has expired. */
export const system: Requester = {
  principal: { tokenId: 'system', name: 'system', tenant: 'default', scopes: new Set() },
  requestId: null
}

/**
 * The record of one change, for `tx.audit.append` in the very transaction of the change. `detail` holds `before` and
 * `after` of what changed, and never a secret's value.
 */
export function auditRecord(
  { principal, requestId, address = null, client = null, traceparent }: Requester,
  at: number,
  action: string,
  subject: string,
  detail: AuditRecord['detail'] = {}
): AuditRecord {
  return {
    at,
    actor: principal.tokenId,
    actorName: principal.name,
    tenant: principal.tenant,
    action,
    subject,
    requestId,
    address,
    client,
    detail: traceparent === undefined ? detail : { ...detail, traceId: traceIdOf(traceparent) }
  }
}

/**
 * Does what no transaction holds: a backup, a new token file, the end of a stranger's pod. That it begins is on disk
 * before, `outcome` `done` or `failed` (with its `error`) after; of what a crash cut off only the beginning is known.
 * Check first what may refuse it: a refusal is no change. Throws what `act` throws.
 */
export async function auditAct<T>(
  { storage, clock }: { storage: Pick<Storage, 'write'>; clock: Clock },
  by: Requester,
  { action, subject, detail = {} }: Pick<AuditRecord, 'action' | 'subject'> & Partial<AuditRecord>,
  act: () => T | Promise<T>
): Promise<T> {
  const note = (outcome: Record<string, string>) =>
    storage.write((tx) =>
      tx.audit.append(auditRecord(by, clock.now(), action, subject, { ...detail, ...outcome }))
    )
  await note({ outcome: 'begun' })
  let result: T
  try {
    result = await act()
  } catch (error) {
    // Where this cannot be stored either, the fault of the act is what its caller must hear of.
    await note({ outcome: 'failed', error: (error as Error).message }).catch(() => {})
    throw error
  }
  await note({ outcome: 'done' })
  return result
}
