import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { isPublicAddress } from '../../plugins/webhooks/addresses.ts'
import { post, type Post } from '../../plugins/webhooks/post.ts'
import { systemClock } from '../../src/contracts/clock.ts'
import { readTarget } from '../../src/domain/webhook.ts'
import { createFakeClock } from '../fake-clock.ts'

const orderOf = (url: string, more: Partial<Post> = {}): Post => {
  const target = readTarget(url)
  if ('fault' in target) throw new Error(target.fault)
  return {
    ...target,
    headers: {},
    body: '{}',
    refusalOf: () => null,
    timeoutMs: 10_000,
    clock: systemClock,
    signal: new AbortController().signal,
    ...more
  }
}
const guarded = (address: string) => (isPublicAddress(address) ? null : `${address} is not public`)

/** A server of plain sockets. Returns its port. */
async function listen(t: Test, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

await t.test('which addresses are public', async (t) => {
  const isPublic = [
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '100.63.0.1',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00::1'
  ]
  const isNot = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.9',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:a00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'localhost',
    ''
  ]
  for (const address of isPublic) t.equal(isPublicAddress(address), true, address)
  for (const address of isNot) t.equal(isPublicAddress(address), false, address)
})

await t.test('every way to write a private address is refused before a connection is made', async (t) => {
  const port = await listen(t, () => t.fail('somebody connected'))
  for (const host of [
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '0177.0.0.1',
    '127.0.0.1.',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:127.0.0.1]',
    '0',
    '0.0.0.0',
    '[::]',
    '[64:ff9b::127.0.0.1]',
    '%31%32%37.0.0.1',
    '１２７.0.0.1',
    'localhost',
    'localhost.',
    'LOCALHOST'
  ])
    await t.rejects(post(orderOf(`http://${host}:${port}/`, { refusalOf: guarded })), /is not public/, host)
})

await t.test('each address of a name is checked, and the checked ones are those connected to', async (t) => {
  let answers = 0
  const port = await listen(t, (socket) => {
    answers++
    socket.end('HTTP/1.1 204 No Content\r\n\r\n')
  })
  const resolve = async () => [
    { address: '93.184.215.14', family: 4 },
    { address: '127.0.0.1', family: 4 }
  ]
  await t.rejects(
    post(orderOf(`http://hook.example:${port}/`, { refusalOf: guarded, resolve })),
    /127\.0\.0\.1 is not public/,
    'one bad address among good ones'
  )
  t.equal(answers, 0)
  // A name server that answers with an allowed address first and with another afterwards is asked once.
  let asked = 0
  const rebinding = async () => {
    asked++
    return [{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]
  }
  const refusalOf = (address: string) => (address === '127.0.0.1' ? null : 'not that one')
  const answer = await post(orderOf(`http://hook.example:${port}/`, { refusalOf, resolve: rebinding }))
  t.same([answer.status, asked, answers], [204, 1, 1])
  await t.rejects(post(orderOf('http://hook.example/', { resolve: async () => [] })), /has no address/)
})

await t.test('redirects are not followed, and nothing of a body is read', async (t) => {
  const server = createHttpServer((request, response) => {
    if (request.url === '/away') response.writeHead(302, { location: 'http://169.254.169.254/' }).end()
    else {
      response.writeHead(503, { 'retry-after': '7' })
      const flood = () => void (response.destroyed || response.write('x'.repeat(65_536), flood))
      flood()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.match(await post(orderOf(`${url}/away`)), { status: 302 })
  t.strictSame(await post(orderOf(`${url}/flood`)), { status: 503, retryAfter: '7' })
})

await t.test(
  'garbage, endless headers, silence and a slow answer end in words, within the time',
  async (t) => {
    const garbage = await listen(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n\r\n'))
    await t.rejects(post(orderOf(`http://127.0.0.1:${garbage}/`)), /does not answer as HTTP does \(HPE_/)
    const long = await listen(t, (socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`)
    )
    await t.rejects(post(orderOf(`http://127.0.0.1:${long}/`)), /HPE_HEADER_OVERFLOW/)
    const hangUp = await listen(t, (socket) => socket.once('data', () => socket.destroy()))
    await t.rejects(post(orderOf(`http://127.0.0.1:${hangUp}/`)), /closed the connection without an answer/)
    const plain = await listen(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
    await t.rejects(
      post(orderOf(`https://127.0.0.1:${plain}/`)),
      /TLS of 127\.0\.0\.1 is not valid|could not be reached/
    )
    const closed = await listen(t, () => {})
    for (const start of ['', 'HTTP/1.1 200 OK\r\nx-slow: ']) {
      const clock = createFakeClock()
      const connected = new Promise<void>((resolve) => {
        void listen(t, (socket) => {
          // A byte now and then would keep any idle time-out away.
          socket.write(start)
          socket.once('data', () => resolve())
        }).then((port) => {
          slow = post(orderOf(`http://127.0.0.1:${port}/`, { clock, timeoutMs: 10_000 }))
          slow.catch(() => {})
        })
      })
      let slow: Promise<unknown> = Promise.resolve()
      await connected
      clock.advance(10_000)
      await t.rejects(slow, /No answer within 10 s/)
    }
    const clock = createFakeClock()
    const hanging = post(
      orderOf(`http://hook.example:${closed}/`, { clock, resolve: () => new Promise(() => {}) })
    )
    clock.advance(10_000)
    await t.rejects(hanging, /No answer within 10 s/, 'a name server that does not answer')
    const stop = new AbortController()
    const stopped = post(orderOf(`http://127.0.0.1:${closed}/`, { signal: stop.signal }))
    stop.abort(new Error('The service stops'))
    await t.rejects(stopped, /The service stops/)
  }
)

await t.test('URLs', async (t) => {
  const faults: [string, RegExp][] = [
    ['hook', /absolute URL/],
    ['/hook', /absolute URL/],
    ['ftp://example.com/', /must begin with https/],
    ['file:///etc/passwd', /must begin with https/],
    ['https://', /absolute URL/],
    ['https://me@example.com/', /no user or password/],
    ['https://me:secret@example.com/', /no user or password/],
    ['https://example.com/#part', /no fragment/],
    ['https://example.com:22/', /port 80, 443/],
    ['https://example.com:0/', /port 80, 443/],
    ['https://example.com:6379/', /port 80, 443/],
    ['https://example.com:99999/', /absolute URL/],
    ['https://exa mple.com/', /absolute URL/],
    ['https://./', /absolute URL|must name a host/]
  ]
  for (const [url, fault] of faults) t.match(readTarget(url), { fault }, url)
  const hosts: [string, string][] = [
    ['https://EXAMPLE.com./x', 'example.com'],
    ['https://bücher.example/', 'xn--bcher-kva.example'],
    ['http://0x7f.1/', '127.0.0.1'],
    ['http://2130706433:8080/', '127.0.0.1'],
    ['http://[::FFFF:127.0.0.1]/', '::ffff:7f00:1'],
    ['https://example.com:443/', 'example.com']
  ]
  for (const [url, host] of hosts) t.match(readTarget(url), { host }, url)
})
