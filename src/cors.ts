import type { FastifyCorsOptions } from '@fastify/cors'

/**
 * What pages of other origins may do. A token travels in the Authorization header, which a page must set itself: there
 * are no cookies, so `credentials` is never allowed and `*` gives a page nothing that it has no token for.
 */
export const corsOptions = (origins: readonly string[]): FastifyCorsOptions => ({
  origin: origins.includes('*') ? '*' : [...origins],
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
  allowedHeaders: [
    'authorization',
    'content-type',
    'idempotency-key',
    'last-event-id',
    'traceparent',
    'x-request-id'
  ],
  exposedHeaders: [
    'location',
    'idempotency-replayed',
    'x-request-id',
    'traceparent',
    'retry-after',
    'ratelimit',
    'ratelimit-policy'
  ],
  maxAge: 600,
  // Hosts and origins are checked after it.
  preflightContinue: true
})
