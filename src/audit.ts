import { traceIdOf } from './trace-context.ts'
import type { AuditRecord } from './contracts/storage.ts'
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
