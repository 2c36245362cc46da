import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Examples, Exchange } from '../../plugins/openapi/examples.ts'
import type { Example } from './example.ts'
import { createSettler } from './settle.ts'

/** Where the examples go. */
export interface Target {
  /** Without a slash at its end. */
  url: string
  token: string
  /** The operations of the document that the service gives out: operationId -> where it is. */
  operations: ReadonlyMap<string, { method: string; path: string }>
  /** A folder that is there and empty. */
  folder: string
}
interface Answer {
  status: number
  headers: Headers
  body: unknown
}

/** Headers of an answer that a reader wants to see. */
const shownHeaders = ['location', 'idempotency-replayed', 'www-authenticate', 'retry-after', 'upgrade']

/**
 * Sends the examples in their order, each after the answer to the one before, and ends the jobs that they leave.
 * @returns the exchanges by operationId, with stable values for what changes from run to run
 * @throws where an answer has another status than the example says
 */
export async function sendExamples(examples: readonly Example[], target: Target): Promise<Examples> {
  const kept: Record<string, string> = { folder: target.folder, localToken: target.token }
  const settle = createSettler(target)
  const sent: Examples = {}
  for (const example of examples) {
    const operation = target.operations.get(example.operation)
    if (operation === undefined) throw new Error(`No operation is named ${example.operation}`)
    const filled = fill(example, kept)
    if (filled.after !== undefined) await waitFor({ ...target, token: kept['localToken']! }, filled.after)
    const path = withQuery(
      operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(filled.params![name]!)),
      filled.query
    )
    const requestWith = (token: string | null): Exchange['request'] => ({
      method: operation.method,
      path,
      headers: { ...(token === null ? {} : { Authorization: `Bearer ${token}` }), ...filled.headers },
      ...(filled.body === undefined ? {} : { body: filled.body })
    })
    const { token = kept['localToken']! } = filled
    const answer = await (filled.status === 101 ? openStream : send)(target.url, requestWith(token))
    if (answer.status !== filled.status)
      throw new Error(
        `${example.operation}, "${example.title}": ${filled.status} was to come, ${answer.status} came: ${JSON.stringify(answer.body)}`
      )
    for (const [name, way] of Object.entries(filled.keep ?? {})) kept[name] = valueAt(answer.body, way)
    if (example.isSetup) continue
    const list = (sent[example.operation] ??= [])
    list.push(
      settle({
        title: example.title,
        request: requestWith(filled.token === undefined ? '$TOKEN' : token),
        answer: shown(answer, example.shorten)
      })
    )
  }
  await cancelAll({ ...target, token: kept['localToken']! })
  return sent
}

/** The example with what was kept in the place of `{{name}}`. */
function fill(example: Example, kept: Record<string, string>): Example {
  const filled = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
        const text = kept[name]
        if (text === undefined) throw new Error(`"${example.title}": no example before it kept ${name}`)
        return text
      })
    if (Array.isArray(value)) return value.map(filled)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, filled(member)]))
  }
  return filled(example) as Example
}

function withQuery(path: string, query: Record<string, string> = {}): string {
  const text = Object.entries(query)
    .map(([name, value]) => (value === '' ? name : `${name}=${encodeURIComponent(value)}`))
    .join('&')
  return text === '' ? path : `${path}?${text}`
}

async function send(url: string, { method, path, headers, body }: Exchange['request']): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await response.text()
  const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
}

/** A WebSocket read to its end; the body is its messages. */
async function openStream(url: string, { path, headers }: Exchange['request']): Promise<Answer> {
  const socket = new WebSocket(url.replace('http', 'ws') + path, ['roost.stream.v1'], { headers })
  const messages: unknown[] = []
  socket.on('message', (message: Buffer) => messages.push(JSON.parse(message.toString())))
  await once(socket, 'open')
  const [code] = (await once(socket, 'close')) as [number]
  if (code !== 1000) throw new Error(`The stream was closed with ${code}`)
  return { status: 101, headers: new Headers({ 'content-type': 'application/json' }), body: messages }
}

function shown({ status, headers, body }: Answer, shorten: Example['shorten']): Exchange['answer'] {
  const type = headers.get('content-type')?.split(';', 1)[0]
  const named = shownHeaders.flatMap((name) => {
    const value = headers.get(name)
    return value === null ? [] : [[name, value]]
  })
  return {
    status,
    ...(type === undefined || body === '' ? {} : { type }),
    headers: Object.fromEntries(named) as Record<string, string>,
    ...(body === '' ? {} : { body: shorten === undefined ? body : shorten(body) })
  }
}

function valueAt(body: unknown, way: string): string {
  const value = way.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], body)
  if (typeof value !== 'string') throw new Error(`The answer has no text at ${way}`)
  return value
}

/** Follows the job's events until it has come so far. */
async function waitFor(target: Target, { job, is }: NonNullable<Example['after']>): Promise<void> {
  const response = await fetch(`${target.url}/v1/jobs/${job}/events`, {
    headers: { authorization: `Bearer ${target.token}` }
  })
  let text = ''
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    text += part
    if (is === 'running' && text.includes('"state":"running"')) return
  }
  if (is === 'running') throw new Error(`The job ended before it ran: ${text}`)
}

async function cancelAll(target: Target): Promise<void> {
  const headers = { authorization: `Bearer ${target.token}` }
  const list = await fetch(`${target.url}/v1/jobs?state=queued,scheduled,running`, { headers })
  const { items } = (await list.json()) as { items: { id: string }[] }
  for (const { id } of items) {
    // A job that hung on another is cancelled with it: 409.
    await fetch(`${target.url}/v1/jobs/${id}?gracePeriodSeconds=0`, { method: 'DELETE', headers })
    await waitFor(target, { job: id, is: 'ended' })
  }
}
