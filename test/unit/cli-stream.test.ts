import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { openSession } from '../../src/cli/session.ts'
import { follow, type LoggedFrame } from '../../src/cli/stream.ts'

type Behaviour = (socket: WebSocket, from: number) => void

const time = '2026-01-01T00:00:00Z'
const log = (seq: number, text = `${seq}\n`) =>
  JSON.stringify({ type: 'log', seq, time, attempt: 1, stream: 'stdout', text })
const result = (seq: number) =>
  JSON.stringify({ type: 'result', seq, time, state: 'succeeded', exitCode: 0, output: null })

/** A service that behaves, connection by connection, as it should not. Returns where each connection began. */
async function misbehave(
  t: { teardown(end: () => unknown): void },
  behaviours: Behaviour[],
  job: object = { finishedAt: null, lastSeq: 0 }
) {
  const froms: number[] = []
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(job))
  })
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'roost.stream.v1' })
  sockets.on('connection', (socket, request: IncomingMessage) => {
    const from = Number(new URL(request.url!, 'http://x').searchParams.get('from'))
    froms.push(from)
    behaviours.shift()?.(socket, from)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate()
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { froms, session: openSession({ env: { ROOST_TOKEN: 'any' }, url }) }
}

async function seqs(frames: AsyncIterable<LoggedFrame>): Promise<number[]> {
  const seen: number[] = []
  for await (const { seq } of frames) seen.push(seq)
  return seen
}

const send =
  (...messages: string[]): Behaviour =>
  (socket) =>
    messages.forEach((message) => socket.send(message))
const thenCut =
  (...messages: string[]): Behaviour =>
  (socket) => {
    const last = messages.pop()!
    for (const message of messages) socket.send(message)
    // Cut behind the frame and not with it.
    socket.send(last, () => socket.terminate())
  }

await t.test('a cut connection goes on behind the last frame, and says so', async (t) => {
  const { session, froms } = await misbehave(t, [
    thenCut(log(1), log(2)),
    (socket) => socket.close(1001),
    send(log(3), result(4))
  ])
  const told: string[] = []
  t.same(
    await seqs(follow(session, 'id', { onLost: () => told.push('lost'), onBack: () => told.push('back') })),
    [1, 2, 3, 4]
  )
  t.same(froms, [1, 3, 3])
  t.same(told, ['lost', 'back', 'lost', 'back'])
})

await t.test('a close as refused is no loss: the next attempt is told why', async (t) => {
  const { session, froms } = await misbehave(t, [
    (socket) => socket.send(log(1), () => socket.close(1008, 'the token was revoked')),
    send(result(2))
  ])
  const told: string[] = []
  t.same(await seqs(follow(session, 'id', { onLost: () => told.push('lost') })), [1, 2])
  t.same(froms, [1, 2])
  t.same(told, [])
})

await t.test('a frame that comes twice is given once; a hole is asked for again', async (t) => {
  const { session, froms } = await misbehave(t, [
    send(log(1), log(1), log(2), log(5)),
    send(log(2), log(3), result(4))
  ])
  t.same(await seqs(follow(session, 'id')), [1, 2, 3, 4])
  t.same(froms, [1, 3])
})

await t.test('a heartbeat is no frame', async (t) => {
  const { session } = await misbehave(t, [
    send(JSON.stringify({ type: 'heartbeat', time, lastSeq: 0 }), result(1))
  ])
  t.same(await seqs(follow(session, 'id')), [1])
})

await t.test('a close with 1000 is no end: the last frame is, or the word of the job', async (t) => {
  const closing: Behaviour = (socket) => socket.close(1000)
  const running = await misbehave(t, [
    (socket) => socket.send(log(1), () => socket.close(1000)),
    closing,
    send(result(2))
  ])
  t.same(await seqs(follow(running.session, 'id')), [1, 2])
  const finished = await misbehave(t, [closing], { finishedAt: time, lastSeq: 7 })
  t.same(await seqs(follow(finished.session, 'id', { from: 8 })), [])
})

await t.test('an abort ends it at once', async (t) => {
  const abort = new AbortController()
  const { session } = await misbehave(t, [send(log(1))])
  const seen: number[] = []
  for await (const { seq } of follow(session, 'id', { signal: abort.signal })) {
    seen.push(seq)
    abort.abort()
  }
  t.same(seen, [1])
})

await t.test('one that came before the connection ends it too', async (t) => {
  const { session } = await misbehave(t, [send(log(1))])
  t.same(await seqs(follow(session, 'id', { signal: AbortSignal.abort() })), [])
})

await t.test('a slow reader holds the service back', async (t) => {
  const count = 4_000
  let sender = null as WebSocket | null
  const { session } = await misbehave(t, [
    (socket) => {
      for (let seq = 1; seq < count; seq++) socket.send(log(seq, 'x'.repeat(8_000)))
      socket.send(result(count))
      sender = socket
    }
  ])
  const frames = follow(session, 'id')
  for (let seq = 1; seq <= 200; seq++) {
    t.equal(((await frames.next()).value as LoggedFrame).seq, seq)
    // A turn for whatever would come in unasked.
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(sender!.bufferedAmount > 15e6, 'what was not read yet stays with the sender')
  t.equal((await seqs(frames)).at(-1), count)
})
