import type { FieldError } from './schemas/problem.ts'

/**
 * Every error code of the API. A retired code is never given a new meaning. docs/api.md lists exactly these
 * (test/unit/errors.test.ts).
 */
export const catalogue = {
  malformed: [400, 'The body is not JSON'],
  'bad-request': [400, 'The request could not be understood'],
  unauthorized: [401, 'A token is needed'],
  forbidden: [403, 'The token does not allow this'],
  'policy-denied': [403, 'A policy forbids this'],
  'not-found': [404, 'There is nothing here'],
  'job-not-found': [404, 'No such job'],
  'node-not-found': [404, 'No such node'],
  'pod-not-found': [404, 'No such workload'],
  'token-not-found': [404, 'No such token'],
  'secret-not-found': [404, 'No such secret'],
  'not-configured': [404, 'This feature is not switched on here'],
  'method-not-allowed': [405, 'That method is not for this path'],
  'not-acceptable': [406, 'None of the accepted types can be given'],
  timeout: [408, 'The request took too long to arrive'],
  'already-finished': [409, 'The job has finished'],
  'not-finished': [409, 'The job has not finished'],
  'not-running': [409, 'No attempt of the job is under way'],
  'name-in-use': [409, 'An unfinished job has that name'],
  'idempotency-in-flight': [409, 'A request with this Idempotency-Key is still at work'],
  'too-large': [413, 'The body is too large'],
  'unsupported-media-type': [415, 'That content type is not taken here'],
  'misdirected-request': [421, 'The Host or Origin is not one of this service'],
  invalid: [422, 'The request is not valid'],
  unplaceable: [422, 'No node in sight could ever run this job'],
  'idempotency-mismatch': [422, 'That Idempotency-Key was used for another body'],
  'expectation-failed': [417, 'That expectation cannot be met'],
  'upgrade-required': [426, 'Open this path as a WebSocket'],
  'too-many-streams': [429, 'Too many streams are open'],
  'rate-limited': [429, 'Too many requests'],
  'quota-exceeded': [429, 'A quota is used up'],
  'disruption-budget': [429, 'A disruption budget refuses this now'],
  'headers-too-large': [431, 'The headers are too large'],
  internal: [500, 'Roost has a fault'],
  draining: [503, 'The node is draining'],
  'issuer-unavailable': [503, "The token's issuer cannot be reached"],
  overloaded: [503, 'The node is overloaded'],
  'storage-unavailable': [503, 'The storage takes no writes now']
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ErrorCode = keyof typeof catalogue

export interface RoostErrorOptions {
  cause?: unknown
  /** The fields at fault, each with what would be right. */
  errors?: FieldError[]
  headers?: Record<string, string>
  /** What exactly it was, in a word, for the metrics: `expired` of an `unauthorized`. One of a few, never a client's text. */
  kind?: string
  /** Members that the code adds to the problem, such as `placement`. */
  extra?: Record<string, unknown>
}

/** An error with a code of the catalogue; the error hook turns it into problem+json. */
export class RoostError extends Error {
  readonly code: ErrorCode
  readonly errors: FieldError[] | undefined
  readonly headers: Record<string, string>
  readonly kind: string | undefined
  readonly extra: Record<string, unknown>

  constructor(code: ErrorCode, detail: string, options: RoostErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RoostError'
    this.code = code
    this.errors = options.errors
    this.headers = options.headers ?? {}
    this.kind = options.kind
    this.extra = options.extra ?? {}
  }

  get statusCode(): number {
    return catalogue[this.code][0]
  }
}

/** A row broke a unique key: the caller turns it into its own error. */
export class UniqueViolation extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(`${what} exists already`, options)
    this.name = 'UniqueViolation'
  }
}
