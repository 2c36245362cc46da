import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler, FastifySchema } from 'fastify'
import { sharedSchemas } from './schemas/index.ts'
import type { FieldError } from './schemas/problem.ts'
import { escapePointer } from './json.ts'

const dateTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

function createAjv({ coerceTypes = false, checkSchemas = false } = {}): Ajv {
  const ajv = new Ajv({
    coerceTypes,
    useDefaults: true,
    removeAdditional: false,
    allErrors: true,
    verbose: true,
    allowUnionTypes: true,
    strict: true,
    strictRequired: false,
    formats: { 'date-time': (text: string) => dateTime.test(text) && !Number.isNaN(Date.parse(text)) },
    // Our own schemas are held to the meta-schema by strict mode and tests; compiling it takes a tenth of the start.
    validateSchema: checkSchemas
  })
  ajv.addSchema(sharedSchemas)
  return ajv
}

/** Bodies are taken literally (`"1"` is no number); query, path and header values are text and are coerced. */
export function createValidatorCompiler(): FastifySchemaCompiler<FastifySchema> {
  const literal = createAjv()
  const coerced = createAjv({ coerceTypes: true })
  return ({ schema, httpPart }) =>
    compileOnUse(() => (httpPart === 'body' ? literal : coerced).compile(schema))
}

/** The start would wait for some sixty schemas of which a run may use five: each is compiled when it is first needed. */
function compileOnUse(compile: () => ValidateFunction) {
  let validate: ValidateFunction | null = null
  const check = (value: unknown): boolean => {
    validate ??= compile()
    const valid = validate(value)
    check.errors = validate.errors ?? null
    return valid
  }
  check.errors = null as ErrorObject[] | null
  return check
}

/**
 * Holds each reply to its schema and throws where it does not fit: what tests run with. The service itself trusts the
 * compiler's types (docs/decisions/005-serialisation.md).
 */
export function createReplyCheck(): ({ schema }: { schema: object }) => (reply: unknown) => string {
  const ajv = createAjv()
  // What a route says of its answer's headers stands beside the schema, for the document.
  ajv.addVocabulary(['headers'])
  return ({ schema }) => {
    const validate = ajv.compile(schema)
    return (reply) => {
      // As it goes over the wire: what JSON leaves out or changes is seen here too.
      const text = JSON.stringify(reply)
      if (!validate(JSON.parse(text)))
        throw new Error(
          `A reply does not fit its schema: ${ajv.errorsText(validate.errors)}; it was ${text.slice(0, 500)}`
        )
      return text
    }
  }
}

/** For schemas that come with a plugin (a runtime's task type). */
export function compileSchema(schema: object): (value: unknown) => FieldError[] {
  const validate = createAjv({ checkSchemas: true }).compile(schema)
  return (value) => (validate(value) ? [] : toFieldErrors(validate.errors ?? [], 'body'))
}

const parts = { body: 'body', querystring: 'query', params: 'path', headers: 'header' } as const

/** Which part of the request Fastify's validation context means. */
export const partOf = (context: string | undefined): FieldError['in'] =>
  parts[(context ?? 'body') as keyof typeof parts] ?? 'body'

/** Ajv's errors as one line for each field: what was wrong and what would be right. At most 50. */
export function toFieldErrors(errors: readonly ErrorObject[], part: FieldError['in']): FieldError[] {
  const found = new Map<string, FieldError>()
  for (const error of withoutForeignBranches(errors)) {
    // What was wrong with a name is told once, by `propertyNames`.
    if (error.propertyName !== undefined) continue
    const pointer = pointerOf(error)
    const message = messageOf(error)
    found.set(pointer + message, { pointer, in: part, message })
    if (found.size === 50) break
  }
  return [...found.values()]
}

/**
 * A union told apart by `type` fails with the errors of every branch. Of a branch whose `type` does not fit nothing
 * else is of interest; where no branch's fits, one line names the types.
 */
function withoutForeignBranches(errors: readonly ErrorObject[]): ErrorObject[] {
  const unions = errors.filter((error) => error.keyword === 'anyOf')
  let kept = [...errors]
  for (const union of unions) {
    const at = `${union.instancePath}/type`
    const inside = kept.filter(
      (error) =>
        error !== union &&
        error.instancePath.startsWith(union.instancePath) &&
        error.schemaPath !== union.schemaPath
    )
    const mistyped = new Set(
      inside
        .filter((error) => error.instancePath === at && ['const', 'pattern'].includes(error.keyword))
        .map((error) => error.schemaPath.split('/')[0])
    )
    if (mistyped.size === 0) continue
    const fitting = inside.filter((error) => !mistyped.has(error.schemaPath.split('/')[0]))
    const typeErrors = inside.filter((error) => error.instancePath === at)
    kept = kept.filter((error) => !inside.includes(error) && error !== union)
    if (fitting.length > 0) kept.push(...fitting)
    else
      kept.push({
        ...union,
        keyword: 'discriminator',
        instancePath: at,
        params: {
          types: typeErrors.filter((error) => error.keyword === 'const').map((error) => String(error.schema))
        },
        data: typeErrors[0]?.data
      })
  }
  return kept
}

function pointerOf(error: ErrorObject): string {
  const params = error.params as Record<string, string>
  if (error.keyword === 'required')
    return `${error.instancePath}/${escapePointer(params['missingProperty']!)}`
  if (error.keyword === 'additionalProperties')
    return `${error.instancePath}/${escapePointer(params['additionalProperty']!)}`
  if (error.keyword === 'propertyNames')
    return `${error.instancePath}/${escapePointer(params['propertyName']!)}`
  return error.instancePath
}

/** The value of a secret, of a variable of a job, what a program reads: not told back. */
const mayBeSecret = /^\/(value|(spec\/)?env\/.*|(spec\/)?task\/stdin)$/

function messageOf(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>
  const got = mayBeSecret.test(error.instancePath) ? '' : `; got ${show(error.data)}`
  switch (error.keyword) {
    case 'required':
      return 'is missing'
    case 'additionalProperties':
      return unknownField(error, String(params['additionalProperty']))
    case 'propertyNames':
      return `is no name that is allowed here; names must match ${(error.schema as { pattern: string }).pattern}`
    case 'enum':
      return `must be one of ${(error.schema as unknown[]).map((value) => JSON.stringify(value)).join(', ')}${got}`
    case 'const':
      return `must be ${JSON.stringify(error.schema)}${got}`
    case 'type':
      return `must be ${([] as string[]).concat(error.schema as string[]).join(' or ')}${got}`
    case 'discriminator':
      return `must be ${(params['types'] as string[]).map((type) => JSON.stringify(type)).join(', ')} or a type of a plugin, such as "plugin/kind"${got}`
    case 'pattern':
      return `must match ${String(error.schema)}${described(error)}${got}`
    case 'anyOf':
      return `fits none of the forms it may have${got}`
    default:
      return `${error.message ?? 'is not valid'}${got}`
  }
}

function described(error: ErrorObject): string {
  const description = (error.parentSchema as { description?: string } | undefined)?.description
  return description === undefined ? '' : ` (${description})`
}

function unknownField(error: ErrorObject, field: string): string {
  const parent = error.parentSchema as { properties?: object } | undefined
  const known = Object.keys(parent?.properties ?? {})
  const near = known.find((name) => distance(name.toLowerCase(), field.toLowerCase()) <= 2)
  return `is no known field${near === undefined ? '' : `; did you mean "${near}"`}${known.length === 0 ? '' : `; known: ${known.join(', ')}`}`
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)
  if (Array.isArray(value)) return 'an array'
  if (value !== null && typeof value === 'object') return 'an object'
  return String(value)
}

/** Levenshtein distance; both words are short. */
export function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}
