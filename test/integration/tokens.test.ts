import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import t from 'tap'
import { WebSocket } from 'ws'
import { asAdmin, build, testToken, type TestLike } from '../build.ts'
import { createFakeClock } from '../fake-clock.ts'
import { createFakeRuntime } from '../fake-runtime.ts'

type App = Awaited<ReturnType<typeof build>>
interface TokenPage {
  items: { id: string; name: string; lastUsedAt: string | null }[]
  cursor: string | null
}

const as = (token: string) => ({ authorization: `Bearer ${token}`, host: 'localhost' })
const status = async (app: App, token: string): Promise<number> =>
  (await app.inject({ url: '/v1/jobs', headers: as(token) })).statusCode

/** A service with a job that runs on, and a way to follow it with a token. */
async function open(t: TestLike) {
  const clock = createFakeClock()
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(t, { process: 'off' }, { clock, runtimes: [fake.runtime] })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const job = await app.inject({
    method: 'POST',
    url: '/schedule',
    headers: asAdmin,
    payload: { task: { type: 'test/fake' } }
  })
  const { id } = job.json<{ id: string }>()
  /** All three kinds of stream, each as the promise of its end. */
  async function follow(token: string) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/stream/${id}`, { headers: as(token) })
    await once(socket, 'open')
    const closed = once(socket, 'close') as Promise<[code: number, reason: Buffer]>
    const before = app.stream.counts()
    // The head of an answer goes out with its first byte, which a silent job does not print.
    const bodies = ['events', 'logs?follow=true'].map(
      async (path) =>
        await (await fetch(`http://127.0.0.1:${port}/v1/jobs/${id}/${path}`, { headers: as(token) })).text()
    )
    while (app.stream.counts().sse === before.sse || app.stream.counts().text === before.text)
      await new Promise((resolve) => setImmediate(resolve))
    return {
      socket,
      /** Resolves when all of them are over: the close code with its reason. */
      async over() {
        const [[code, reason]] = await Promise.all([closed, ...bodies])
        return { code, reason: reason.toString() }
      }
    }
  }
  return { app, clock, follow }
}

await t.test('a revocation is felt at once, by open streams too', async (t) => {
  const { app, follow } = await open(t)
  const { token, record } = await app.auth.create({ name: 'reader', scopes: ['read:jobs'] })
  const other = await app.auth.create({ name: 'other', scopes: ['read:jobs'] })
  const [mine, others] = [await follow(token), await follow(other.token)]
  const revoked = await app.inject({ method: 'DELETE', url: `/v1/tokens/${record.id}`, headers: asAdmin })
  t.equal(revoked.statusCode, 204)
  t.equal(await status(app, token), 401, 'no cache holds it')
  t.match(await mine.over(), { code: 1008, reason: 'the token was revoked' })
  t.equal(others.socket.readyState, WebSocket.OPEN, 'another token is another matter')
  t.equal(await status(app, other.token), 200)
  const again = await app.inject({ method: 'DELETE', url: `/v1/tokens/${record.id}`, headers: asAdmin })
  t.equal(again.statusCode, 404)
  others.socket.terminate()
})

await t.test('what was on its way while its token was revoked goes no further', async (t) => {
  const { app, clock } = await open(t)
  const { token, record } = await app.auth.create({
    name: 'racer',
    scopes: ['read:jobs'],
    expiresInSeconds: 60
  })
  const principal = await app.auth.authenticate(token, () => 'none')
  clock.advance(2_001)
  // The look at the storage sees the token in force; the revocation is committed before its answer is used.
  const { tokens } = app.storage
  const { findByHash } = tokens
  t.teardown(() => (tokens.findByHash = findByHash))
  tokens.findByHash = async (hash) => {
    const found = await findByHash(hash)
    await app.auth.revoke(record.id)
    return found
  }
  await t.rejects(
    app.auth.authenticate(token, () => 'none'),
    { code: 'unauthorized', message: 'That token was revoked' }
  )
  const said = await new Promise((resolve) => app.auth.watch(principal, resolve))
  t.equal(said, 'the token was revoked', 'a stream that opens only now ends at once')
  t.equal(app.stream.counts().websocket, 0)
})

await t.test('a token that ends while the body comes in opens nothing', async (t) => {
  const clock = createFakeClock()
  const fake = createFakeRuntime({ exitCode: null })
  const app = await build(t, { process: 'off', token: '' }, { clock, runtimes: [fake.runtime] })
  let letIn = () => {}
  // Auth is done with the request, its body is not there.
  app.addHook('preParsing', async () => letIn())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const make = async (name: string, expiresInSeconds: number | null = null) =>
    await app.auth.create({ name, scopes: ['write:jobs', 'admin'], expiresInSeconds })
  const local = readFileSync(app.auth.tokenFile!, 'utf8').trim()
  const [gone, expired, good] = [await make('gone'), await make('expired', 60), await make('good')]

  /** Sends a body of which the second half leaves when `meanwhile` is done. */
  async function send(path: string, body: object, token: string, meanwhile: () => unknown) {
    const text = JSON.stringify(body)
    const isIn = new Promise<void>((resolve) => (letIn = resolve))
    const sent = request({
      port,
      path,
      method: 'POST',
      headers: { ...as(token), 'content-type': 'application/json', 'content-length': text.length }
    })
    sent.write(text.slice(0, 5))
    await isIn
    await meanwhile()
    sent.end(text.slice(5))
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    return { status: answer.statusCode, ...((await json(answer)) as object) }
  }
  const job = { task: { type: 'test/fake' } }
  t.match(await send('/schedule', job, gone.token, () => app.auth.revoke(gone.record.id)), {
    status: 401,
    detail: 'That token was revoked'
  })
  t.match(await send('/schedule', job, expired.token, () => clock.advance(60_000)), {
    status: 401,
    detail: 'That token has expired'
  })
  const admin = { name: 'more', scopes: ['admin'] }
  t.match(await send('/v1/tokens', admin, local, () => app.auth.rotate()), {
    status: 401,
    detail: 'That token was revoked'
  })
  t.match(await send('/schedule', job, good.token, () => {}), { status: 202 })
  t.equal((await app.storage.jobs.list({ limit: 10 })).items.length, 1)
  t.equal((await app.auth.list({ limit: 10 })).items.length, 3, 'and no token was made')
})

await t.test('streams end when their token expires', async (t) => {
  const { app, clock, follow } = await open(t)
  const { token } = await app.auth.create({ name: 'guest', scopes: ['read:jobs'], expiresInSeconds: 60 })
  const streams = await follow(token)
  clock.advance(59_999)
  t.equal(await status(app, token), 200)
  t.equal(streams.socket.readyState, WebSocket.OPEN)
  clock.advance(1)
  t.match(await streams.over(), { code: 1008, reason: 'the token has expired' })
  t.equal(await status(app, token), 401)
})

await t.test('a reader that takes nothing is cut all the same', async (t) => {
  const { app, follow } = await open(t)
  const { token, record } = await app.auth.create({ name: 'stuck', scopes: ['read:jobs'] })
  const { socket } = await follow(token)
  socket.pause()
  await app.auth.revoke(record.id)
  while (app.stream.counts().websocket > 0) await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(app.stream.counts().websocket, 0)
  socket.terminate()
})

await t.test(
  'the local token is replaced: the new one is in the file, the old one and its streams end',
  async (t) => {
    const dataDir = t.testdir()
    const app = await build(t, { process: 'off', dataDir, token: '' })
    await app.ready()
    const file = join(dataDir, 'token')
    const old = readFileSync(file, 'utf8').trim()
    t.equal(await status(app, old), 200)
    let said = ''
    app.auth.watch(await app.auth.authenticate(old, () => 'none'), (why) => (said = why))
    const rotated = await app.inject({ method: 'POST', url: '/v1/tokens/local/rotate', headers: as(old) })
    t.equal(rotated.statusCode, 200)
    t.equal(rotated.headers['cache-control'], 'no-store')
    const { token, tokenFile } = rotated.json<{ token: string; tokenFile: string }>()
    t.equal(tokenFile, file)
    t.equal(readFileSync(file, 'utf8'), `${token}\n`)
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.same([await status(app, old), await status(app, token)], [401, 200])
    t.equal(said, 'the local token was replaced')
    const audit = await app.inject({ url: '/v1/audit?action=token.rotate', headers: as(token) })
    t.equal(audit.json<{ items: unknown[] }>().items.length, 2, 'that it began, and that it was done')
    t.equal(audit.body.includes(token), false)

    const given = await build(t, { process: 'off', token: testToken, dataDir: join(dataDir, 'other') })
    const refused = await given.inject({ method: 'POST', url: '/v1/tokens/local/rotate', headers: asAdmin })
    t.match(refused.json(), { status: 404, code: 'not-configured', detail: /ROOST_TOKEN.*change it there/ })
  }
)

await t.test(
  'tokens are listed in pages, newest first, by tenant and by whether they are in force',
  async (t) => {
    const { app, clock } = await open(t)
    for (const [name, tenant, expiresInSeconds] of [
      ['a', 'default', null],
      ['b', 'lab', 60],
      ['c', 'lab', null]
    ] as const) {
      clock.advance(1)
      await app.auth.create({ name, tenant, scopes: ['read:jobs'], expiresInSeconds })
    }
    const list = async (query: string) =>
      (await app.inject({ url: `/v1/tokens${query}`, headers: asAdmin })).json<TokenPage>()
    const names = async (query: string) => (await list(query)).items.map(({ name }) => name)
    t.same(await names(''), ['c', 'b', 'a'])
    t.same(await names('?tenant=lab'), ['c', 'b'])
    clock.advance(60_000)
    t.same(await names('?active=true'), ['c', 'a'])
    t.same(await names('?active=false'), ['b'])
    const first = await list('?limit=2')
    t.same(
      first.items.map(({ name }) => name),
      ['c', 'b']
    )
    t.same(await names(`?limit=2&cursor=${first.cursor}`), ['a'])
    const bad = await app.inject({ url: '/v1/tokens?cursor=!', headers: asAdmin })
    t.match(bad.json(), { status: 422, errors: [{ in: 'query', pointer: '/cursor' }] })
    for (const path of ['/v1/tokens', '/v1/jobs', '/v1/audit', '/v1/webhooks/secret']) {
      const none = await app.inject({ url: `${path}?tenant=No+Tenant`, headers: asAdmin })
      t.match(none.json(), { status: 422, errors: [{ in: 'query', pointer: '/tenant' }] }, path)
    }
  }
)

await t.test('when a token was last used is known, and stored within a minute', async (t) => {
  const { app, clock } = await open(t)
  const { token, record } = await app.auth.create({ name: 'ci', scopes: ['read:jobs'] })
  const lastUsed = async () =>
    (await app.auth.list({ limit: 10 })).items.find(({ id }) => id === record.id)?.lastUsedAt
  t.equal(await lastUsed(), null)
  await status(app, token)
  const used = new Date(clock.now()).toISOString()
  t.equal(await lastUsed(), used)
  t.equal((await app.storage.tokens.find(record.id))?.lastUsedAt, null, 'the hot path writes nothing')
  clock.advance(60_000)
  while ((await app.storage.tokens.find(record.id))?.lastUsedAt === null)
    await new Promise((resolve) => setImmediate(resolve))
  t.equal(await lastUsed(), used)
})

await t.test('only admin makes tokens, so nobody gives what he does not have', async (t) => {
  const { app } = await open(t)
  const { token } = await app.auth.create({
    name: 'all but admin',
    scopes: ['read:jobs', 'write:jobs', 'llm:invoke', 'context:read', 'context:write']
  })
  for (const scopes of [['read:jobs'], ['admin']]) {
    const made = await app.inject({
      method: 'POST',
      url: '/v1/tokens',
      headers: as(token),
      payload: { name: 'x', scopes }
    })
    t.match(made.json(), { status: 403, code: 'forbidden' })
  }
})

await t.test('no text of a token is in the log, in an error or in the audit', async (t) => {
  const { app, follow } = await open(t)
  app.log.level = 'trace'
  const { token, record } = await app.auth.create({ name: 'canary', scopes: ['read:jobs'] })
  const streams = await follow(token)
  const guess = 'roost_canary-guess-0123456789'
  const answers = [
    await app.inject({ url: '/v1/jobs', headers: as(guess) }),
    await app.inject({ url: '/v1/tokens', headers: as(token) }),
    await app.inject({ url: '/v1/jobs', headers: { host: 'localhost', authorization: `Basic ${token}` } }),
    await app.inject({ url: '/v1/audit', headers: asAdmin }),
    await app.inject({ url: '/v1/tokens', headers: asAdmin })
  ]
  await app.auth.revoke(record.id)
  await streams.over()
  t.ok(app.logLines.length > 3, 'there is a log')
  const told = [...app.logLines, ...answers.map(({ body, headers }) => body + JSON.stringify(headers))].join(
    '\n'
  )
  for (const secret of [token, guess, Buffer.from(token).toString('base64url')])
    t.equal(told.includes(secret), false)
})
