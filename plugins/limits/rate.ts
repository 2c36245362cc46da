import { RoostError } from '../../src/errors.ts'

/** `max` requests in each window of `windowMs`. */
export interface Rate {
  max: number
  windowMs: number
}

/** What a limiter says after it has counted a request. */
export interface Count {
  max: number
  remaining: number
  ttlInSeconds: number
  isExceeded: boolean
}

/** The headers of draft-ietf-httpapi-ratelimit-headers-11 for a rate and the count of one client. */
export function rateLimitHeaders({ max, windowMs }: Rate) {
  const policy = `"default";q=${max};w=${Math.ceil(windowMs / 1000)}`
  return ({ remaining, ttlInSeconds }: Count): Record<string, string> => ({
    'ratelimit-policy': policy,
    ratelimit: `"default";r=${remaining};t=${ttlInSeconds}`
  })
}

/** `rate-limited`, with how long to wait; `what` is what is limited: the requests of whom. */
export function rateLimited(
  what: string,
  rate: Rate,
  { ttlInSeconds }: Count,
  headers: Record<string, string> = {}
) {
  const seconds = Math.max(1, ttlInSeconds)
  return new RoostError(
    'rate-limited',
    `${what}: at most ${rate.max} in ${rate.windowMs / 1000} s; try again in ${seconds} s`,
    { headers: { ...headers, 'retry-after': String(seconds) } }
  )
}
