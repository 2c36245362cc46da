import type { FastifyRequest } from 'fastify'
import type {} from '../../plugins/auth/index.ts'
import type {} from '../http.ts'
import type { Principal } from '../schemas/token.ts'

/** Who asks, as the scheduler's audit wants it. Only for routes with a scope: there the principal is set. */
export function requesterOf(request: FastifyRequest): {
  principal: Principal
  requestId: string
  traceparent?: string
} {
  const { traceparent } = request
  return {
    principal: request.principal!,
    requestId: request.id,
    ...(traceparent === null ? {} : { traceparent })
  }
}
