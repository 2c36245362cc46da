import { catalogue, type ErrorCode } from '../../src/errors.ts'
import type { Examples, Exchange } from './examples.ts'
import { componentName, problemResponse, problemsOf, type RouteFacts } from './problems.ts'

interface Media {
  schema?: object
  examples?: Record<string, object>
}
interface Response {
  $ref?: string
  description?: string
  content?: Record<string, Media>
}
export interface Operation {
  operationId?: string
  parameters?: { description?: string; schema: { $ref?: string } }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, Response>
}
/** As much of the OpenAPI document as is completed here. */
export interface Document {
  paths: Record<string, Record<string, Operation>>
  /** What the service sends. */
  webhooks?: object
  components: { schemas: Record<string, { description?: string }>; responses?: Record<string, Response> }
}

/** A route's facts with the headers that it reads itself, which no schema of Fastify's holds. */
export type OperationFacts = RouteFacts & { requestHeaders: Record<string, { description?: string }> }

/** Adds what no single route can say: the problems that all have in common, headers that are read, real examples. */
export function completeDocument<T extends Document>(
  document: T,
  facts: ReadonlyMap<string, OperationFacts>,
  examples: Examples
): T {
  const responses: Record<string, Response> = {}
  for (const operation of Object.values(document.paths).flatMap((methods) => Object.values(methods))) {
    const known = facts.get(operation.operationId ?? '')
    if (known === undefined) continue
    describeParameters(operation, document.components.schemas)
    addRequestHeaders(operation, known.requestHeaders)
    addProblems(operation, problemsOf(known), responses)
    for (const exchange of examples[operation.operationId!] ?? []) addExample(operation, exchange, responses)
  }
  document.components.responses = responses
  document.components.schemas = reached(document)
  return document
}

/** The schemas that an operation leads to. Others, such as files of the service's own, are no part of the API. */
function reached({ paths, webhooks = {}, components }: Document): Document['components']['schemas'] {
  const names = new Set<string>()
  const follow = (value: object): void => {
    for (const [, name] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (names.has(name!)) continue
      names.add(name!)
      follow(components.schemas[name!]!)
    }
  }
  follow([paths, webhooks, components.responses])
  return Object.fromEntries(Object.entries(components.schemas).filter(([name]) => names.has(name)))
}

/** A parameter that is a schema with a name is described by that. */
function describeParameters(
  { parameters = [] }: Operation,
  schemas: Document['components']['schemas']
): void {
  for (const parameter of parameters) {
    const described = schemas[parameter.schema.$ref?.split('/').at(-1) ?? '']?.description
    if (described !== undefined) parameter.description ??= described
  }
}

function addRequestHeaders(operation: Operation, headers: OperationFacts['requestHeaders']): void {
  const parameters = Object.entries(headers).map(([name, { description, ...schema }]) => ({
    in: 'header',
    name,
    required: false,
    description: description ?? '',
    schema
  }))
  if (parameters.length > 0) operation.parameters = [...(operation.parameters ?? []), ...parameters]
}

function addProblems(operation: Operation, codes: ErrorCode[], shared: Record<string, Response>): void {
  for (const [status, ofStatus] of Map.groupBy(codes, (code) => catalogue[code][0])) {
    const response: Response = problemResponse(status, ofStatus)
    const other = operation.responses[status]
    if (other === undefined) {
      const name = componentName(ofStatus)
      shared[name] ??= response
      operation.responses[status] = { $ref: `#/components/responses/${name}` }
    } else {
      // The route answers this status in a form of its own too: both forms, told apart by their type.
      operation.responses[status] = {
        ...other,
        description: `${other.description ?? ''} Or ${response.description ?? ''}`,
        content: { ...other.content, ...response.content }
      }
    }
  }
}

function addExample(
  operation: Operation,
  { title, request, answer }: Exchange,
  shared: Record<string, Response>
) {
  const name = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  const body = operation.requestBody?.content['application/json']
  if (body !== undefined && request.body !== undefined && answer.status < 400)
    body.examples = { ...body.examples, [name]: { summary: title, value: request.body } }
  // The messages of a WebSocket stand where its description has them.
  const response = operation.responses[answer.status === 101 ? 200 : answer.status]
  const target = response?.$ref === undefined ? response : shared[response.$ref.split('/').at(-1)!]
  const media = target?.content?.[answer.type ?? '']
  const values = exampleValues(answer)
  if (media === undefined) return
  for (const [i, value] of values.entries()) {
    const ofMany = values.length === 1 ? name : `${name}-${i + 1}`
    media.examples = { ...media.examples, [ofMany]: { summary: title, value } }
  }
}

/** What the schema of the answer describes: the body, of a stream each message or event. */
function exampleValues({ status, type, body }: Exchange['answer']): unknown[] {
  if (body === undefined) return []
  if (status === 101) return body as unknown[]
  return type === 'text/event-stream' ? eventsIn(body as string) : [body]
}

function eventsIn(text: string): object[] {
  return [...text.matchAll(/^id: (.*)\ndata: (.*)$/gm)].map(([, id, data]) => ({ id, data }))
}
