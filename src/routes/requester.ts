import type { FastifyRequest } from 'fastify'
import type {} from '../../plugins/auth/index.ts'
import type { Requester } from '../audit.ts'
import type {} from '../http.ts'

const longestClient = 128

/**
 * Who asks and from where, as every change wants it for its audit record. Only for routes with a scope: there the
 * principal is set.
 */
export function requesterOf(request: FastifyRequest): Requester & { requestId: string } {
  const { traceparent } = request
  const client = request.headers['user-agent']?.slice(0, longestClient) ?? null
  return {
    principal: request.principal!,
    requestId: request.id,
    address: request.ip,
    client,
    ...(traceparent === null ? {} : { traceparent })
  }
}
