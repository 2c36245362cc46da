import { STATUS_CODES } from 'node:http'
import type { Examples, Exchange } from '../plugins/openapi/examples.ts'

export interface Schema {
  $ref?: string
  type?: string | string[]
  description?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  allOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  [bound: string]: unknown
}
interface Content {
  content?: Record<string, { schema: Schema }>
}
interface Operation {
  operationId: string
  summary: string
  description?: string
  tags: string[]
  security: Record<string, string[]>[]
  parameters?: { name: string; in: string; required: boolean; description?: string; schema: Schema }[]
  requestBody?: Content
  responses: Record<
    string,
    Content & { $ref?: string; description?: string; headers?: Record<string, object> }
  >
}
/** As much of the OpenAPI document as the page shows. */
export interface ApiDocument {
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

/** The operations and the schemas as Markdown: two sections of docs/api.md. */
export function apiSections(document: ApiDocument, examples: Examples): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      ...operation
    }))
  )
  return [
    '## Operations',
    table(
      ['operation', 'what it does', 'scope'],
      operations.map(({ method, path, operationId, summary, security }) => [
        `[\`${method} ${path}\`](#${operationId.toLowerCase()})`,
        summary,
        scopeOf(security)
      ])
    ),
    ...document.tags.flatMap(({ name, description }) => [
      `## ${name[0]!.toUpperCase()}${name.slice(1)}`,
      description,
      ...operations
        .filter(({ tags }) => tags[0] === name)
        .flatMap((operation) => operationText(operation, examples[operation.operationId] ?? []))
    ]),
    '## Schemas',
    ...Object.entries(document.components.schemas).flatMap(([name, schema]) => schemaText(name, schema))
  ].join('\n\n')
}

const scopeOf = (security: Operation['security']): string =>
  security.flatMap((scheme) => Object.values(scheme).flat()).map((scope) => `\`${scope}\``)[0] ?? 'none'

function operationText(
  operation: Operation & { method: string; path: string },
  exchanges: readonly Exchange[]
): string[] {
  const { method, path, operationId, summary, description, security, parameters, requestBody, responses } =
    operation
  const body = requestBody?.content?.['application/json']?.schema
  const answers = Object.entries(responses)
  return [
    `### ${operationId}`,
    `\`${method} ${path}\`, scope ${scopeOf(security)}. ${summary}.`,
    ...(description === undefined ? [] : [description]),
    ...(parameters === undefined
      ? []
      : [
          table(
            ['parameter', 'in', 'value', ''],
            parameters.map((one) => [
              `\`${one.name}\`${one.required ? ', required' : ''}`,
              one.in,
              typeText(one.schema),
              one.description ?? ''
            ])
          )
        ]),
    ...(body === undefined ? [] : [`Body: ${bodyText(body)}`]),
    table(
      ['status', '', 'type'],
      answers
        .filter(([, { $ref }]) => $ref === undefined)
        .map(([status, { description, content, headers }]) => [
          status,
          `${description ?? ''}${
            headers === undefined
              ? ''
              : ` Headers: ${Object.keys(headers)
                  .map((name) => `\`${name}\``)
                  .join(', ')}.`
          }`,
          Object.entries(content ?? {})
            .map(([type, { schema }]) => (type === 'application/json' ? typeText(schema) : `\`${type}\``))
            .join(', ')
        ])
    ),
    ...answers.flatMap(([status, { content }]) => {
      const schema = content?.['application/json']?.schema
      return schema?.properties === undefined || isList(schema) ? [] : [`${status} holds:`, fields(schema)]
    }),
    `Problems: ${answers
      .filter(([, { $ref }]) => $ref !== undefined)
      .map(([status, { $ref }]) => `${status} ${codesOf($ref!).join(', ')}`)
      .join('; ')}.`,
    ...exchanges.flatMap(exampleText)
  ]
}

const codesOf = (reference: string): string[] =>
  reference
    .split('/')
    .at(-1)!
    .split('.')
    .map((code) => `\`${code}\``)

function bodyText(schema: Schema): string {
  return schema.properties === undefined ? `${typeText(schema)}.` : `an object.\n\n${fields(schema)}`
}

function exampleText({ title, request, answer }: Exchange): string[] {
  const headers = Object.entries(request.headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`)
  const lines = [
    `curl${request.method === 'GET' ? (answer.status === 101 ? ' -N --http1.1' : '') : ` -X ${request.method}`} ${quoted(`127.0.0.1:7070${request.path}`)}`,
    ...headers,
    ...(answer.status === 101
      ? [
          "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13'",
          "-H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='"
        ]
      : []),
    ...(request.body === undefined
      ? []
      : ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(request.body))}`])
  ]
  const head = [
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}`,
    ...(answer.type === undefined || answer.status === 101 ? [] : [`content-type: ${answer.type}`]),
    ...Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`)
  ]
  return [
    `**${title}**`,
    `\`\`\`sh\n${lines.join(' \\\n  ')}\n\`\`\``,
    `\`\`\`http\n${[...head, ...(answer.body === undefined ? [] : ['', answerText(answer)])].join('\n')}\n\`\`\``
  ]
}

function answerText({ status, body }: Exchange['answer']): string {
  if (status === 101) return (body as unknown[]).map((message) => JSON.stringify(message)).join('\n')
  return typeof body === 'string' ? body.trimEnd() : jsonText(body)
}

const lineLength = 100

/** JSON with each member on a line of its own, but what fits into one line. */
function jsonText(value: unknown, indent = ''): string {
  const line = spaced(value)
  if (value === null || typeof value !== 'object' || indent.length + line.length <= lineLength) return line
  const deeper = `${indent}  `
  const members = Array.isArray(value)
    ? value.map((member) => jsonText(member, deeper))
    : Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${jsonText(member, deeper)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${members.map((member) => deeper + member).join(',\n')}\n${indent}${close}`
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${spaced(member)}`)
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`
}

/** One word of a POSIX shell; `$TOKEN` stays a variable. */
function quoted(text: string): string {
  if (/^[A-Za-z0-9_./:=,{}-]+$/.test(text)) return text
  return text.includes('$TOKEN') ? `"${text}"` : `'${text.replaceAll("'", "'\\''")}'`
}

function schemaText(name: string, schema: Schema): string[] {
  return [
    `### ${name}`,
    ...(schema.description === undefined ? [] : [schema.description]),
    schema.properties === undefined ? `${typeText(schema)}.` : fields(schema)
  ]
}

const fields = (schema: Schema): string => table(['field', 'value', ''], fieldRows(schema, ''))

function fieldRows(schema: Schema, above: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const required = schema.required?.includes(name) === true ? ', required' : ''
    const row = [`\`${above}${name}\`${required}`, typeText(member), member.description ?? noteOf(member)]
    if (member.properties !== undefined) return [row, ...fieldRows(member, `${above}${name}.`)]
    if (member.items?.properties !== undefined) return [row, ...fieldRows(member.items, `${above}${name}[].`)]
    return [row]
  })
}

const isList = ({ properties }: Schema): boolean => properties?.['items']?.items?.$ref !== undefined

const noteOf = ({ anyOf }: Schema): string =>
  anyOf?.find((form) => form.description !== undefined)?.description ?? ''

function typeText(schema: Schema): string {
  const { $ref, anyOf, items, additionalProperties } = schema
  const type = [schema.type ?? []].flat().filter((name) => name !== 'null')
  if ($ref !== undefined) {
    const name = $ref.split('/').at(-1)!
    return `[${name}](#${name.toLowerCase()})`
  }
  if (anyOf !== undefined) return anyOf.map(typeText).join(' or ')
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (isList(schema)) return `\`{items, cursor}\` of ${typeText(schema.properties!['items']!.items!)}`
  if (items !== undefined) return `list of ${typeText(items)}`
  if (schema.type === 'null') return 'null'
  if (typeof additionalProperties === 'object') return `map of ${typeText(additionalProperties)}`
  return `${type.length === 0 ? 'anything' : type.join(' or ')}${boundsText(schema)}`
}

const bounds: Record<string, (value: unknown) => string> = {
  minimum: (value) => `from ${String(value)}`,
  exclusiveMinimum: (value) => `above ${String(value)}`,
  maximum: (value) => `to ${String(value)}`,
  minLength: (value) => `at least ${String(value)} characters`,
  maxLength: (value) => `at most ${String(value)} characters`,
  format: (value) => String(value),
  pattern: (value) => `\`${String(value)}\``,
  default: (value) => `default \`${JSON.stringify(value)}\``
}

function boundsText(schema: Schema): string {
  const told = Object.entries(bounds).flatMap(([key, tell]) =>
    schema[key] === undefined ? [] : [tell(schema[key])]
  )
  return told.length === 0 ? '' : `, ${told.join(', ')}`
}

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows]
    .map(
      (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
    )
    .join('\n')
