import { catalogue, type ErrorCode } from '../../src/errors.ts'
import type { Scope } from '../../src/schemas/job.ts'

/** What a route says of itself, as far as the problems that it may answer follow from it. */
export interface RouteFacts {
  method: string
  /** The scope that a token needs; none on a public route. */
  scope: Scope | undefined
  /** Answers under any Host, however often, also when the node is overloaded. */
  isProbe: boolean
  hasParams: boolean
  /** Has a query or headers that are validated. */
  isValidated: boolean
  /** The problems that it names itself. */
  own: readonly ErrorCode[]
}

/** Every problem that an operation may answer: those that it names, and those that its route brings with it. */
export function problemsOf(facts: RouteFacts): ErrorCode[] {
  const { method, scope, isProbe, hasParams, isValidated, own } = facts
  // Fastify reads a body wherever a method may have one, also where the route asks for none.
  const takesBody = method !== 'GET'
  const codes: ErrorCode[] = [
    ...own,
    'bad-request',
    'timeout',
    'expectation-failed',
    'headers-too-large',
    'internal',
    'draining',
    ...(isProbe ? [] : (['misdirected-request', 'rate-limited', 'overloaded'] as const)),
    ...(scope === undefined
      ? []
      : (['unauthorized', 'forbidden', 'storage-unavailable', 'issuer-unavailable'] as const)),
    ...(hasParams ? (['not-found'] as const) : []),
    ...(takesBody ? (['malformed', 'too-large', 'unsupported-media-type'] as const) : []),
    ...(takesBody || isValidated ? (['invalid'] as const) : [])
  ]
  const known = new Set(codes)
  return (Object.keys(catalogue) as ErrorCode[]).filter((code) => known.has(code))
}

/** Answers of the same codes are one component of the document, named by them. */
export const componentName = (codes: readonly ErrorCode[]): string => codes.join('.')

const waitHeader = {
  'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 0 } }
}
const headers: Partial<Record<number, object>> = {
  401: { 'WWW-Authenticate': { description: 'How to show a token.', schema: { type: 'string' } } },
  429: {
    ...waitHeader,
    'RateLimit-Policy': {
      description: 'Of `rate-limited`: how many (q) in how many seconds (w).',
      schema: { type: 'string' }
    },
    RateLimit: {
      description: 'Of `rate-limited`: how many are left (r) for how many seconds (t).',
      schema: { type: 'string' }
    }
  },
  503: waitHeader
}

/** The answer with one status and one of the codes, for `components.responses`. */
export function problemResponse(status: number, codes: readonly ErrorCode[]): object {
  const ofStatus = headers[status]
  return {
    description: codes.map((code) => `\`${code}\`: ${catalogue[code][1]}.`).join(' '),
    ...(ofStatus === undefined ? {} : { headers: ofStatus }),
    content: {
      'application/problem+json': {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Problem' },
            {
              type: 'object',
              properties: {
                status: { type: 'integer', const: status },
                code: { type: 'string', enum: codes }
              }
            }
          ]
        }
      }
    }
  }
}
