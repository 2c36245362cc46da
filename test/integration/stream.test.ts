import { once } from 'node:events'
import { get as httpGet } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import type { Frame, LogFrame } from '../../src/schemas/frame.ts'
import { asAdmin, build, testToken } from '../build.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

type App = Awaited<ReturnType<typeof build>>
type Fake = ReturnType<typeof createFakeRuntime>

async function open(t: Parameters<typeof build>[0]) {
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(t, { process: 'off' }, { runtimes: [fake.runtime] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return { app, fake, port }
}

/** A running job whose output the test says. */
async function startJob(app: App, fake: Fake) {
  const response = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { task: { type: 'test/fake' } }
  })
  const { id } = response.json<{ id: string }>()
  while (
    fake.started.every((order) => order.jobId !== id) ||
    (await app.storage.jobs.find(id))?.state !== 'running'
  )
    await new Promise((resolve) => setImmediate(resolve))
  const order = fake.started.find((candidate) => candidate.jobId === id)!
  let at = 0
  return {
    id,
    order,
    print: (text: string) =>
      fake.say(order, { type: 'output', stream: 'stdout', bytes: Buffer.from(text), cursor: String(++at) }),
    end: (code: number) => fake.finish(order.name, code)
  }
}

function connectStream(
  port: number,
  id: string,
  query = '',
  headers: Record<string, string> = { authorization: `Bearer ${testToken}` }
) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/stream/${id}${query}`, ['roost.stream.v1'], {
    headers
  })
  const frames: Frame[] = []
  socket.on('message', (message: Buffer) => frames.push(JSON.parse(message.toString()) as Frame))
  const closed = new Promise<{ code: number; frames: Frame[] }>((resolve) => {
    socket.on('close', (code) => resolve({ code, frames }))
    socket.on('error', () => {})
  })
  return { socket, frames, closed }
}

const seqs = (frames: readonly Frame[]) => frames.flatMap((frame) => ('seq' in frame ? [frame.seq] : []))
const oneTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

async function refusal(
  port: number,
  path: string,
  headers: Record<string, string> = {}
): Promise<{ status: number; type: string; body: string }> {
  return await new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers })
    socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk) => (body += String(chunk)))
      response.on('end', () =>
        resolve({ status: response.statusCode!, type: response.headers['content-type'] ?? '', body })
      )
    })
    socket.on('open', () => reject(new Error('it was opened')))
    socket.on('error', () => {})
  })
}

await t.test('a WebSocket replays the log, follows it and ends with the last frame and 1000', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  await job.print('one\n')
  const { socket, closed } = connectStream(port, job.id)
  await once(socket, 'message')
  t.equal(socket.protocol, 'roost.stream.v1')
  await job.print('two\n')
  await job.end(0)
  const { code, frames } = await closed
  t.equal(code, 1000)
  t.same(seqs(frames), oneTo(frames.length))
  t.equal(
    frames
      .filter((frame) => frame.type === 'log')
      .map((frame) => frame.text)
      .join(''),
    'one\ntwo\n'
  )
  t.match(frames.at(-1), { type: 'result', state: 'succeeded', exitCode: 0 })
})

await t.test('from, tail and the ends of the log', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  for (const text of ['a', 'b', 'c']) await job.print(text)
  await job.end(3)
  const whole = (await connectStream(port, job.id).closed).frames
  const last = whole.length
  t.match(whole.at(-1), { type: 'error', state: 'failed', code: 'exit-nonzero', exitCode: 3 })
  t.same(seqs((await connectStream(port, job.id, `?from=${last - 1}`).closed).frames), [last - 1, last])
  t.same(
    (await connectStream(port, job.id, '?tail=2').closed).frames
      .filter((frame) => frame.type === 'log')
      .map((frame) => frame.text),
    ['b', 'c']
  )
  t.same(await connectStream(port, job.id, `?from=${last + 1}`).closed, { code: 1000, frames: [] })
  const beyond = await refusal(port, `/stream/${job.id}?from=${last + 2}`, {
    authorization: `Bearer ${testToken}`
  })
  t.equal(beyond.status, 422)
  t.match(beyond.type, /problem\+json/)
  t.match(beyond.body, /lastSeq \+ 1/)
})

await t.test('refusals come before the upgrade, as problem+json', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  const token = { authorization: `Bearer ${testToken}` }
  for (const [path, headers, status, code] of [
    ['/stream/01hzzzzzzzzzzzzzzzzzzzzzzz', token, 404, 'job-not-found'],
    ['/stream/nonsense', token, 404, 'job-not-found'],
    ['/nowhere', token, 404, 'not-found'],
    [`/stream/${job.id}`, {}, 401, 'unauthorized'],
    [`/stream/${job.id}?from=0`, token, 422, 'invalid'],
    [`/stream/${job.id}`, { ...token, host: 'evil.example' }, 421, 'misdirected-request']
  ] as const) {
    const { status: got, type, body } = await refusal(port, path, headers)
    t.equal(got, status, path)
    t.match(type, /problem\+json/)
    t.equal((JSON.parse(body) as { code: string }).code, code)
  }
  const plain = await app.inject({ url: `/stream/${job.id}`, headers: asAdmin })
  t.equal(plain.statusCode, 426)
  t.match(plain.headers['content-type'], /problem\+json/)
})

await t.test('what is no WebSocket handshake is told so; an offer of HTTP/2 is passed over', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  const say = async (path: string, headers: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${testToken}\r\n${headers}\r\n`
    )
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    return text
  }
  const old = await say(
    `/stream/${job.id}`,
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  )
  t.match(old, /^HTTP\/1.1 400 [^]*problem\+json[^]*version 13/)
  t.match(
    await say(
      '/livez',
      'Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
    ),
    /^HTTP\/1.1 200 /
  )
})

await t.test('a browser’s token travels as a subprotocol and is not echoed', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  const bearer = `roost.bearer.${Buffer.from(testToken).toString('base64url')}`
  const socket = new WebSocket(`ws://127.0.0.1:${port}/stream/${job.id}`, ['roost.stream.v1', bearer])
  const [message] = (await once(socket, 'message')) as [Buffer]
  t.equal(socket.protocol, 'roost.stream.v1')
  t.equal((JSON.parse(message.toString()) as Frame).type, 'status')
  socket.terminate()
  t.equal(app.logLines.join('').includes(bearer), false)
})

await t.test('close codes', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  await t.test('1008 for a message, as a reader has nothing to say', async (t) => {
    const { socket, closed } = connectStream(port, job.id)
    await once(socket, 'message')
    socket.send('hello')
    t.equal((await closed).code, 1008)
  })
  await t.test('1009 for one that is too large', async (t) => {
    const { socket, closed } = connectStream(port, job.id)
    await once(socket, 'message')
    socket.send('x'.repeat(100_000))
    t.equal((await closed).code, 1009)
  })
  await t.test('1001 when the service stops', async (t) => {
    const { socket, closed } = connectStream(port, job.id)
    await once(socket, 'message')
    await app.close()
    t.equal((await closed).code, 1001)
  })
})

await t.test('server-sent events', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  await job.print('x\n')
  await job.end(0)
  const response = await app.inject({ url: `/v1/jobs/${job.id}/events`, headers: asAdmin })
  t.match(response.headers['content-type'], /^text\/event-stream/)
  const events = [...response.body.matchAll(/id: (\d+)\ndata: (.*)\n\n/g)].map(
    (match) => [Number(match[1]), JSON.parse(match[2]!) as Frame] as const
  )
  const last = events.length
  t.same(
    events.map(([id]) => id),
    oneTo(last)
  )
  t.same(seqs(events.map(([, frame]) => frame)), oneTo(last))
  const resumed = await app.inject({
    url: `/v1/jobs/${job.id}/events`,
    headers: { ...asAdmin, 'last-event-id': String(last - 1) }
  })
  t.match(resumed.body, new RegExp(`id: ${last}\n`))
  t.equal(resumed.body.includes(`id: ${last - 1}\n`), false)
  t.equal(
    (
      await app.inject({
        url: `/v1/jobs/${job.id}/events`,
        headers: { ...asAdmin, 'last-event-id': String(last) }
      })
    ).statusCode,
    204
  )
  t.equal(
    (await app.inject({ url: `/v1/jobs/${job.id}/events`, headers: { ...asAdmin, 'last-event-id': 'x' } }))
      .statusCode,
    422
  )

  await t.test('a reader that goes away leaves nothing behind', async (t) => {
    const silent = await startJob(app, fake)
    const request = httpGet({
      port,
      host: '127.0.0.1',
      path: `/v1/jobs/${silent.id}/events`,
      headers: { authorization: `Bearer ${testToken}` }
    })
    const [stream] = (await once(request, 'response')) as [NodeJS.ReadableStream]
    await once(stream, 'data')
    t.equal(app.stream.counts().sse, 1)
    request.destroy()
    while (app.stream.counts().sse > 0) await new Promise((resolve) => setImmediate(resolve))
    t.pass('its place is free')
  })
})

await t.test('logs as text: whole, tail by lines, by attempt, followed', async (t) => {
  const { app, fake } = await open(t)
  const job = await startJob(app, fake)
  await job.print('one\ntwo\nth')
  await job.print('ree\n')
  await job.print('four')
  const read = async (query: string) =>
    (await app.inject({ url: `/v1/jobs/${job.id}/logs${query}`, headers: asAdmin })).body
  t.equal(await read(''), 'one\ntwo\nthree\nfour')
  t.equal(await read('?tail=2'), 'three\nfour')
  t.equal(await read('?tail=0'), '')
  t.equal(await read('?tail=99'), 'one\ntwo\nthree\nfour')
  t.equal(await read('?attempt=2'), '')
  const following = read('?follow=true')
  await job.print('!\n')
  await job.end(0)
  t.equal(await following, 'one\ntwo\nthree\nfour!\n')
})

await t.test('readers cut at random points 100 times rebuild the exact output', async (t) => {
  const { app, fake, port } = await open(t)
  const job = await startJob(app, fake)
  const printed: string[] = []
  let random = 42
  const next = (n: number) => (random = (random * 1103515245 + 12345) % 2 ** 31) % n
  const writer = (async () => {
    for (let i = 0; i < 600; i++) {
      const line = `line ${i} ${'x'.repeat(next(80))}\n`
      printed.push(line)
      await job.print(line)
    }
    await job.end(0)
  })()

  const overSocket = async () => {
    const seen: Frame[] = []
    for (let cuts = 0; seen.at(-1)?.type !== 'result'; cuts++) {
      const { socket, closed, frames } = connectStream(port, job.id, `?from=${(seqs(seen).at(-1) ?? 0) + 1}`)
      const stopAfter = cuts < 100 ? next(8) : Infinity
      socket.on('message', () => {
        if (frames.length > stopAfter) socket.terminate()
      })
      await closed
      seen.push(...frames)
    }
    return seen
  }
  const overEvents = async () => {
    const seen: Frame[] = []
    for (let cuts = 0; seen.at(-1)?.type !== 'result'; cuts++) {
      const stopAfter = cuts < 100 ? next(2000) : Infinity
      const body = await new Promise<string>((resolve) => {
        let text = ''
        const last = seqs(seen).at(-1)
        const request = httpGet(
          {
            port,
            host: '127.0.0.1',
            path: `/v1/jobs/${job.id}/events`,
            headers: {
              authorization: `Bearer ${testToken}`,
              ...(last === undefined ? {} : { 'last-event-id': String(last) })
            }
          },
          (response) => {
            response.on('data', (chunk) => {
              text += String(chunk)
              if (text.length > stopAfter) request.destroy()
            })
            response.on('close', () => resolve(text))
          }
        )
        request.on('error', () => resolve(text))
      })
      for (const match of body.matchAll(/id: \d+\ndata: (.*)\n\n/g)) seen.push(JSON.parse(match[1]!) as Frame)
    }
    return seen
  }
  for (const seen of await Promise.all([overSocket(), overEvents(), writer]).then(([a, b]) => [a, b])) {
    t.same(seqs(seen), oneTo(seen.length), 'no hole, no twin')
    t.equal(
      seen
        .filter((frame): frame is LogFrame => frame.type === 'log')
        .map((frame) => frame.text)
        .join(''),
      printed.join('')
    )
  }
})
