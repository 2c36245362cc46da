import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { TSchema } from '@sinclair/typebox'
import type { ErrorObject } from 'ajv'
import type {} from './contracts/observability.ts'
import { catalogue, RoostError, UniqueViolation, type ErrorCode } from './errors.ts'
import { Problem } from './schemas/problem.ts'
import { ref } from './schemas/ref.ts'
import { redact } from './redact.ts'
import { partOf, toFieldErrors } from './validation.ts'

type StatusOf<Code extends ErrorCode> = (typeof catalogue)[Code][0]

/**
 * The problems of an operation's own, for its `response`. Those that any operation may answer (no token, not valid,
 * overloaded, …) follow from its route: plugins/openapi/problems.ts adds them to the document.
 */
export function problems<const Codes extends readonly ErrorCode[]>(...codes: Codes) {
  const byStatus = Map.groupBy(codes, (code) => catalogue[code][0])
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      { codes, content: { 'application/problem+json': { schema: ref(Problem) } } }
    ])
  ) as unknown as Record<StatusOf<Codes[number]>, TSchema>
}

/** A client's own words come back in problems, but not without end: its field names may be as long as a body. */
const longestText = 1_024
const cut = (text: string): string => (text.length <= longestText ? text : `${text.slice(0, longestText)}…`)

export const problemType = 'application/problem+json; charset=utf-8'

/** The document for one error; `instance` is the path asked for. */
export function toProblem(error: RoostError, instance?: string, requestId?: string): Problem {
  const [status, title] = catalogue[error.code]
  return {
    type: `/docs/errors#${error.code}`,
    title,
    status,
    code: error.code,
    // The client's own words come back to it as they are: masked, they would tell which of them is a secret here.
    detail: status >= 500 ? redact(cut(error.message)) : cut(error.message),
    ...(instance === undefined ? {} : { instance }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(error.errors === undefined
      ? {}
      : {
          errors: error.errors.map(({ pointer, message, ...rest }) => ({
            ...rest,
            pointer: cut(pointer),
            message: cut(message)
          }))
        }),
    ...error.extra
  }
}

/** Fastify's own error codes, as codes of our catalogue. */
const frameworkCodes: Record<string, [ErrorCode, string]> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['malformed', 'The body is not JSON'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['malformed', 'The body is empty; send a JSON document'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported-media-type', 'Send the body as application/json'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['too-large', 'The body is larger than this path takes (1 MiB for a job)'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad-request', 'The body is not as long as its Content-Length says'],
  FST_ERR_BAD_URL: ['not-found', 'The path is not well formed'],
  FST_ERR_MAX_PARAM_LENGTH: ['not-found', 'A part of the path is too long'],
  FST_ERR_ASYNC_CONSTRAINT: ['not-found', 'There is nothing at this path']
}

/** Any error as one of the catalogue; what is none of ours is `internal` and its text stays in the log. */
export function toRoostError(error: unknown, route = ''): RoostError {
  if (error instanceof RoostError) return error
  const fastifyError = error as Partial<FastifyError> & {
    validation?: ErrorObject[]
    validationContext?: string
  }
  if (fastifyError.validation !== undefined) {
    const part = partOf(fastifyError.validationContext)
    // An id that could be no id names nothing (design §2): 404, never 422.
    if (part === 'path') {
      const isJob = route.startsWith('/v1/jobs/') || route.startsWith('/stream/')
      return new RoostError(isJob ? 'job-not-found' : 'not-found', 'There is nothing with that id', {
        cause: error
      })
    }
    const errors = toFieldErrors(fastifyError.validation, part)
    const first = errors[0]
    return new RoostError(
      'invalid',
      first === undefined ? 'The request is not valid' : `${first.pointer || `the ${part}`} ${first.message}`,
      { cause: error, errors }
    )
  }
  const known = frameworkCodes[fastifyError.code ?? '']
  if (known !== undefined) {
    const parser =
      fastifyError.code === 'FST_ERR_CTP_INVALID_JSON_BODY' && fastifyError.message
        ? `${known[1]}: ${fastifyError.message}`
        : known[1]
    return new RoostError(known[0], parser, { cause: error })
  }
  if (fastifyError.statusCode === 429)
    return new RoostError('rate-limited', fastifyError.message ?? 'Slow down', { cause: error })
  if (error instanceof UniqueViolation)
    return new RoostError('internal', 'A fault in Roost; the log has the details', { cause: error })
  if (
    fastifyError.statusCode !== undefined &&
    fastifyError.statusCode >= 400 &&
    fastifyError.statusCode < 500
  ) {
    return new RoostError('bad-request', fastifyError.message ?? 'The request could not be understood', {
      cause: error
    })
  }
  return new RoostError('internal', 'A fault in Roost; the log has the details under this request id', {
    cause: error
  })
}

/** Fastify's error hook: every error leaves as problem+json. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const roostError = toRoostError(error, request.routeOptions.url)
  const { observability } = request.server
  if (roostError.code === 'internal') {
    request.log.error({ err: error }, 'request failed')
    observability.tracing?.fault(error)
  }
  observability.refused(roostError)
  const problem = toProblem(roostError, request.url.split('?', 1)[0], request.id)
  void reply
    .code(roostError.statusCode)
    .headers(roostError.headers)
    .type(problemType)
    .send(JSON.stringify(problem))
}
