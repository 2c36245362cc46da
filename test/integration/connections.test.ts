import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { asAdmin, build, testToken, type TestLike } from '../build.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

type Limits = NonNullable<NonNullable<Parameters<typeof build>[1]>['limits']>

async function open(t: TestLike, limits: Limits, trustProxy: string[] = []) {
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(t, { process: 'off', limits, trustProxy }, { runtimes: [fake.runtime] })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { app, port, fake }
}

/** A connection of the test's own: what it sends is sent as it is. */
async function dial(t: TestLike, port: number) {
  const socket: Socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  let said = ''
  socket.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const closed = once(socket, 'close')
  await once(socket, 'connect')
  return {
    socket,
    /** What the service said until it closed the connection. */
    async untilClosed(): Promise<string> {
      await closed
      return said
    }
  }
}

const head = `POST /schedule HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${testToken}\r\n`

await t.test('slow loris: who sends too slowly is answered 408 and cut', async (t) => {
  const { port } = await open(t, { headersSeconds: 0.2, requestSeconds: 0.4 })
  /** Sends a byte again and again, as the attack does, until the service has enough. */
  async function trickle(first: string): Promise<string> {
    const { socket, untilClosed } = await dial(t, port)
    socket.write(first)
    const drip = setInterval(() => socket.write('x'), 20)
    const said = await untilClosed()
    clearInterval(drip)
    return said
  }
  for (const [what, first] of [
    ['headers', `${head}X-Slow: `],
    ['a body', `${head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`],
    ['the request line', 'GET /']
  ] as const) {
    const said = await trickle(first)
    t.match(said, /^HTTP\/1\.1 408 /, what)
    t.match(said, /content-type: application\/problem\+json/i, what)
    t.match(said, /"code":"timeout"/, what)
  }
  const { untilClosed } = await dial(t, port)
  t.match(await untilClosed(), /^(HTTP\/1\.1 408 .*)?$/s, 'who says nothing at all is cut too')
})

await t.test('an idle connection is kept for a while, then closed', async (t) => {
  const { port } = await open(t, { keepAliveSeconds: 0.1 })
  const { socket, untilClosed } = await dial(t, port)
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const said = await untilClosed()
  t.match(said, /^HTTP\/1\.1 200 /)
  t.match(said, /connection: keep-alive/i)
})

await t.test('one address has only so many connections, a proxy that is trusted has more', async (t) => {
  const { port } = await open(t, { connectionsPerAddress: 2 })
  const first = await dial(t, port)
  await dial(t, port)
  const said = await (await dial(t, port)).untilClosed()
  t.match(said, /^HTTP\/1\.1 429 /)
  t.match(said, /retry-after: 10/i)
  t.match(said, /One address may hold 2 connections/)
  first.socket.destroy()
  await first.untilClosed()
  const { socket, untilClosed } = await dial(t, port)
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  t.match(await untilClosed(), /^HTTP\/1\.1 200 /, 'room again')

  const behind = await open(t, { connectionsPerAddress: 1 }, ['127.0.0.0/8'])
  await dial(t, behind.port)
  const second = await dial(t, behind.port)
  second.socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  t.match(await second.untilClosed(), /^HTTP\/1\.1 200 /)
})

await t.test('beyond the whole bound no connection is taken, and the log says so', async (t) => {
  const { app, port } = await open(t, { connections: 1 })
  await dial(t, port)
  const refused = await dial(t, port)
  t.equal(await refused.untilClosed(), '')
  t.match(app.logLines.join(''), /a connection too many was refused/)
})

await t.test('what is too large is refused in words', async (t) => {
  const { port } = await open(t, {})
  const send = async (text: string): Promise<string> => {
    const { socket, untilClosed } = await dial(t, port)
    socket.write(text)
    return await untilClosed()
  }
  const long = 'x'.repeat(17_000)
  t.match(
    await send(`GET /${long} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
    /^HTTP\/1\.1 431 .*headers-too-large/s,
    'URL'
  )
  t.match(
    await send(`GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ${long}\r\n\r\n`),
    /^HTTP\/1\.1 431 .*headers-too-large/s,
    'headers'
  )
  t.match(
    await send(
      `${head}Connection: close\r\nContent-Type: application/json\r\nContent-Length: 1048577\r\n\r\n{}`
    ),
    /^HTTP\/1\.1 413 .*"code":"too-large"/s,
    'a body that says so'
  )
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
  t.match(
    await send(
      `${head}Connection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`
    ),
    /^HTTP\/1\.1 413 .*"code":"too-large"/s,
    'a body that does not'
  )
})

await t.test('streams: so many of one token, so many in all, messages of a bounded size', async (t) => {
  const { app, port } = await open(t, { readers: 3, readersPerToken: 2 })
  const job = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { task: { type: 'test/fake' } }
  })
  const { id } = job.json<{ id: string }>()
  const follow = async (token: string) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/stream/${id}`, {
      headers: { authorization: `Bearer ${token}` }
    })
    t.teardown(() => socket.terminate())
    socket.on('error', () => {})
    const answered = await Promise.race([
      once(socket, 'open').then(() => null),
      once(socket, 'unexpected-response').then(([, answer]: unknown[]) => answer as { statusCode: number })
    ])
    return { socket, status: answered?.statusCode ?? 101 }
  }
  const events = async (token: string) =>
    await fetch(`http://127.0.0.1:${port}/v1/jobs/${id}/events`, {
      headers: { authorization: `Bearer ${token}` }
    })
  const { token } = await app.auth.create({ name: 'reader', scopes: ['read:jobs'] })

  const first = await follow(token)
  const sse = await events(token)
  t.same([first.status, sse.status], [101, 200])
  t.equal((await follow(token)).status, 429)
  const refused = await events(token)
  t.match(await refused.json(), {
    code: 'too-many-streams',
    detail: 'The token "reader" has 2 streams open; close some'
  })
  t.equal(refused.headers.get('retry-after'), '10')
  t.equal((await follow(testToken)).status, 101, 'another token')
  t.match(
    await (await events(testToken)).json(),
    { status: 503, code: 'overloaded' },
    'then the node is full'
  )
  await sse.body!.cancel()
  const closed = once(first.socket, 'close')
  first.socket.send('x'.repeat(5_000))
  t.equal((await closed)[0], 1009, 'readers send nothing, least of all much')
  while (app.stream.counts().websocket + app.stream.counts().sse > 1)
    await new Promise((resolve) => setImmediate(resolve))
  t.equal((await follow(token)).status, 101, 'room again')
})
