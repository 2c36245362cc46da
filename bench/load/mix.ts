/** What the mixed load sends: each kind with the share of the requests it makes up and the statuses that are right. */
export interface Kind {
  name: string
  group: 'accept' | 'read' | 'stream' | 'garbage'
  /** Of all requests, in parts of a hundred; all kinds together make 100. */
  share: number
  statuses: readonly number[]
  /** The request; null where it needs a job and none is there yet. */
  encode(context: MixContext): string | null
  /** Read over a WebSocket of its own to the last frame, instead of sent. */
  path?(context: MixContext): string | null
}

export interface MixContext {
  token: string
  /** A job that was accepted in the last seconds; null while there is none. */
  recentJob(): string | null
  /** A number that no other request has. */
  unique(): number
}

const job = (extra = '') =>
  `{"name":"load","task":{"type":"bench/echo"},"env":{"K":"V"},"labels":{"from":"load"},"ttlSecondsAfterFinished":30${extra}}`

const request = (
  method: string,
  path: string,
  { token, body, headers = '' }: { token?: string; body?: string; headers?: string }
): string =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${token === undefined ? '' : `Authorization: Bearer ${token}\r\n`}${headers}` +
  (body === undefined
    ? '\r\n'
    : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)

const read = (name: string, share: number, path: string, statuses: readonly number[] = [200]): Kind => ({
  name,
  group: 'read',
  share,
  statuses,
  encode({ token, recentJob }) {
    if (!path.includes('{id}')) return request('GET', path, { token })
    const id = recentJob()
    return id === null ? null : request('GET', path.replace('{id}', id), { token })
  }
})

const garbage = (name: string, share: number, statuses: readonly number[], encode: Kind['encode']): Kind => ({
  name,
  group: 'garbage',
  share,
  statuses,
  encode
})

/** 2,000 requests/s of this are 180 jobs/s; a request in twenty is garbage. */
export const mix: readonly Kind[] = [
  {
    name: 'submit',
    group: 'accept',
    share: 7,
    statuses: [202],
    encode: ({ token }) => request('POST', '/schedule', { token, body: job() })
  },
  {
    name: 'submit with a key',
    group: 'accept',
    share: 2,
    statuses: [202],
    encode: ({ token, unique }) =>
      request('POST', '/schedule', { token, body: job(), headers: `Idempotency-Key: k${unique()}\r\n` })
  },
  {
    name: 'dry run',
    group: 'accept',
    share: 1,
    statuses: [200],
    encode: ({ token }) => request('POST', '/schedule?dryRun=true', { token, body: job() })
  },
  read('job', 38, '/v1/jobs/{id}'),
  read('list', 5, '/v1/jobs?limit=20'),
  read('log as text', 10, '/v1/jobs/{id}/logs'),
  read('health', 9, '/health'),
  read('queue', 5, '/v1/queue?limit=20'),
  read('nodes', 2, '/v1/nodes'),
  read('live', 1, '/livez'),
  {
    name: 'websocket',
    group: 'stream',
    share: 5,
    statuses: [101],
    encode: () => null,
    path({ recentJob }) {
      const id = recentJob()
      return id === null ? null : `/stream/${id}`
    }
  },
  {
    name: 'events',
    group: 'stream',
    share: 10,
    statuses: [200],
    encode({ token, recentJob }) {
      const id = recentJob()
      return id === null ? null : request('GET', `/v1/jobs/${id}/events`, { token })
    }
  },
  garbage('no JSON', 1, [400], ({ token }) => request('POST', '/schedule', { token, body: '{"task":' })),
  garbage('wrong fields', 1, [422], ({ token }) =>
    request('POST', '/schedule', { token, body: job(',"prioritty":1,"timeoutSeconds":"soon"') })
  ),
  // Wrong tokens may be limited by address.
  garbage('wrong token', 1, [401, 429], ({ unique }) =>
    request('GET', '/v1/jobs', { token: `roost_wrong-${unique()}` })
  ),
  garbage('unknown path', 0.5, [404], ({ token, unique }) =>
    request('GET', `/v1/nothing/${unique()}`, { token })
  ),
  garbage('wrong method', 0.5, [405], ({ token }) => request('PUT', '/schedule', { token, body: '{}' })),
  garbage('unknown job', 0.5, [404], ({ token, unique }) =>
    request('GET', `/v1/jobs/${String(unique()).padStart(26, '0')}`, { token })
  ),
  garbage('no HTTP', 0.25, [400], () => 'GARBAGE garbage\r\n\r\n'),
  garbage('headers too large', 0.25, [431], ({ token }) =>
    request('GET', '/v1/jobs', { token, headers: `X-Large: ${'x'.repeat(20_000)}\r\n` })
  )
]
