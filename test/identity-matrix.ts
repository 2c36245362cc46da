import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket } from 'ws'
import { scopes, type Scope } from '../src/schemas/job.ts'
import { asAdmin, type build } from './build.ts'

export type App = Awaited<ReturnType<typeof build>>

interface Operation {
  operationId: string
  security?: { bearer?: Scope[] }[]
  requestBody?: { content: Record<string, { examples?: Record<string, { value: unknown }> }> }
}

/** What the matrix asks with: a job, a secret and a token of the tenant `default`, under a name that nobody else has. */
interface Belongings {
  jobId: string
  tokenId: string
  mark: string
}

interface Answer {
  status: number
  text: string
}

const tenants = ['default', 'other'] as const

/**
 * Asks every operation of the OpenAPI document without a token, with a bad one, with every wrong scope, with the right
 * one and with the right one of another tenant. Returns what is wrong, and the operations that were asked. A route that
 * is added is in the document, so it is in here.
 */
export async function checkIdentity(app: App, folder: string) {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> }
  const tokens = new Map<string, string>()
  for (const tenant of tenants) {
    for (const scope of scopes) {
      const { token } = await app.auth.create({ name: `${tenant} ${scope}`, scopes: [scope], tenant })
      tokens.set(`${tenant} ${scope}`, token)
    }
  }
  const faults: string[] = []
  const asked: string[] = []

  for (const [path, methods] of Object.entries(paths)) {
    for (const [verb, operation] of Object.entries(methods)) {
      const method = verb.toUpperCase()
      const name = `${method} ${path}`
      asked.push(operation.operationId)
      let things = await makeBelongings(app)
      const ask = async (token: string | null) =>
        await send(port, method, path, bodyOf(operation, things, folder), things, token)
      const expect = (who: string, { status, text }: Answer, fits: boolean) => {
        if (!fits || status >= 500) faults.push(`${name} ${who}: ${status} ${text.slice(0, 200)}`)
      }
      const scope = operation.security?.flatMap(({ bearer = [] }) => bearer)[0]
      if (scope === undefined) {
        if (operation.security?.length !== 0) faults.push(`${name}: neither a scope nor public`)
        const answer = await ask(null)
        expect('is public', answer, ![401, 403].includes(answer.status))
        continue
      }
      for (const token of [null, 'roost_nonsense', 'eyJhbGciOiJub25lIn0.e30.']) {
        const answer = await ask(token)
        expect(`with the token ${token}`, answer, answer.status === 401)
      }
      for (const other of scopes.filter((one) => one !== scope)) {
        const answer = await ask(tokens.get(`default ${other}`)!)
        expect(`with ${other} alone`, answer, answer.status === 403)
      }
      if (scope !== 'admin') {
        // Of a thing there is nothing to be seen; of a list nothing of the first tenant's.
        const before = await stateOf(app, things)
        const answer = await ask(tokens.get(`other ${scope}`)!)
        const hidden = isThing(path, operation) ? answer.status === 404 : answer.status < 300
        const leaks = [things.mark, things.jobId, things.tokenId].some((word) => answer.text.includes(word))
        expect("with another tenant's token", answer, hidden && (!leaks || answer.status === 404))
        if ((await stateOf(app, things)) !== before) faults.push(`${name}: another tenant changed the job`)
      }
      things = await makeBelongings(app)
      const answer = await ask(tokens.get(`default ${scope}`)!)
      expect(`with ${scope}`, answer, ![401, 403].includes(answer.status) && answer.status < 500)
    }
  }
  return { faults, asked, operations: Object.values(paths).flatMap((methods) => Object.keys(methods)).length }
}

let made = 0

async function makeBelongings(app: App): Promise<Belongings> {
  const mark = `zebra-${++made}`
  const job = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { name: mark, labels: { mark }, task: { type: 'test/fake' } }
  })
  await app.inject({ method: 'PUT', url: `/v1/secrets/${mark}`, headers: asAdmin, payload: { value: mark } })
  const { record } = await app.auth.create({ name: mark, scopes: ['read:jobs'], tenant: 'default' })
  return { jobId: job.json<{ id: string }>().id, tokenId: record.id, mark }
}

const stateOf = async (app: App, { jobId }: Belongings): Promise<string> =>
  JSON.stringify(await app.storage.jobs.find(jobId), (key, value: unknown) =>
    ['intent', 'state'].includes(key) || key === '' ? value : undefined
  )

/** Named by its path, or by its body. Machines are everybody's. */
const isThing = (path: string, { operationId }: Operation): boolean =>
  operationId === 'evict' || (path.includes('{') && !path.startsWith('/v1/nodes/'))

/** A good body: the first of the document's examples, for the things of this run. */
function bodyOf({ operationId, requestBody }: Operation, { jobId }: Belongings, folder: string): unknown {
  const own: Record<string, unknown> = {
    evict: { jobId, reason: 'matrix' },
    backup: { file: `${folder}/backup-${++made}.db` },
    scheduleJob: { task: { type: 'test/fake' } }
  }
  const examples = Object.values(requestBody?.content['application/json']?.examples ?? {})
  return own[operationId] ?? examples[0]?.value
}

async function send(
  port: number,
  method: string,
  path: string,
  body: unknown,
  { jobId, tokenId, mark }: Belongings,
  token: string | null
): Promise<Answer> {
  const id = path.startsWith('/v1/nodes/') ? 'local' : path.startsWith('/v1/tokens/') ? tokenId : jobId
  const url = path.replace('{id}', id).replaceAll(/\{[^}]+\}/g, mark)
  if (path.startsWith('/stream/')) return await upgrade(`ws://127.0.0.1:${port}${url}`, token)
  const gone = new AbortController()
  const response = await fetch(`http://127.0.0.1:${port}${url}`, {
    method,
    signal: gone.signal,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) {
    // It goes on while the job runs.
    gone.abort()
    return { status: response.status, text: '' }
  }
  return { status: response.status, text: await response.text() }
}

/** A WebSocket, by the header and as a browser: both must fare alike. */
async function upgrade(url: string, token: string | null): Promise<Answer> {
  const protocol = 'roost.stream.v1'
  const bearer = token === null ? [] : [`roost.bearer.${Buffer.from(token).toString('base64url')}`]
  const ways: [protocols: string[], headers: Record<string, string>][] = [
    [[protocol], token === null ? {} : { authorization: `Bearer ${token}` }],
    [[protocol, ...bearer], {}]
  ]
  const statuses: number[] = []
  for (const [protocols, headers] of ways) {
    const socket = new WebSocket(url, protocols, { headers })
    socket.on('error', () => {})
    const status = await Promise.race([
      once(socket, 'open').then(() => 101),
      once(socket, 'unexpected-response').then(
        ([, response]: { statusCode: number }[]) => response!.statusCode
      )
    ])
    if (status === 101) socket.terminate()
    statuses.push(status)
  }
  const alike = statuses[0] === statuses[1]
  return alike
    ? { status: statuses[0]!, text: '' }
    : { status: 599, text: `header and subprotocol fare differently: ${statuses.join(', ')}` }
}
