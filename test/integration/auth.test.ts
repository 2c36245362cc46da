import { statSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { asAdmin, build, testToken } from '../build.ts'
import type { TokenRequest } from '../../src/schemas/token.ts'

type App = Awaited<ReturnType<typeof build>>

async function tokenFor(app: App, request: TokenRequest): Promise<string> {
  return (await app.auth.create(request)).token
}

const as = (token: string) => ({ authorization: `Bearer ${token}`, host: 'localhost' })

await t.test('tokens', async (t) => {
  const app = await build(t, { process: 'off' })
  await app.ready()
  const status = async (token: string) =>
    (await app.inject({ url: '/v1/jobs', headers: as(token) })).statusCode

  await t.test('end when they are revoked', async (t) => {
    const { token, record } = await app.auth.create({ name: 'x', scopes: ['read:jobs'] })
    t.equal(await status(token), 200)
    const revoked = await app.inject({ method: 'DELETE', url: `/v1/tokens/${record.id}`, headers: asAdmin })
    t.equal(revoked.statusCode, 204)
    t.equal(await status(token), 401)
  })
  await t.test('are never listed in clear', async (t) => {
    const token = await tokenFor(app, { name: 'y', scopes: ['read:jobs'] })
    const listed = await app.inject({ url: '/v1/tokens', headers: asAdmin })
    t.equal(listed.body.includes(token), false)
    t.equal(
      listed.json<{ items: { name: string }[] }>().items.some(({ name }) => name === 'y'),
      true
    )
  })
  await t.test('of another tenant see nothing of ours', async (t) => {
    const other = await tokenFor(app, { name: 'z', scopes: ['read:jobs'], tenant: 'other' })
    t.same((await app.inject({ url: '/v1/jobs', headers: as(other) })).json(), { items: [], cursor: null })
  })
})

await t.test('the local token is made at the first start and stays', async (t) => {
  const dataDir = t.testdir()
  const first = await build(t, { process: 'off', dataDir, token: '' })
  const file = join(dataDir, 'token')
  t.equal(statSync(file).mode & 0o777, 0o600)
  const token = readFileSync(file, 'utf8').trim()
  t.equal((await first.inject({ url: '/v1/jobs', headers: as(token) })).statusCode, 200)
  await first.close()
  const second = await build(t, { process: 'off', dataDir, token: '' })
  t.equal((await second.inject({ url: '/v1/jobs', headers: as(token) })).statusCode, 200)
})

await t.test('Host and Origin', async (t) => {
  const app = await build(t, {
    process: 'off',
    allowedHosts: ['roost.example'],
    corsOrigins: ['https://page.example']
  })
  await app.ready()
  const status = async (headers: Record<string, string>, url = '/health') =>
    (await app.inject({ url, headers })).statusCode
  for (const host of [
    'localhost',
    'localhost:7070',
    '127.0.0.1:7070',
    '[::1]:7070',
    '10.1.2.3',
    'roost.example',
    'ROOST.example:443'
  ]) {
    t.equal(await status({ host }), 200, `${host} is ours`)
  }
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    'evil.example:7070',
    'a b',
    '127.0.0.1.evil.example'
  ]) {
    t.equal(await status({ host }), 421, `${host} is not`)
  }
  t.equal(await status({ host: 'evil.example' }, '/livez'), 200, 'probes by any name pass')
  t.equal(await status({ host: 'localhost', origin: 'https://page.example' }), 200)
  t.equal(await status({ host: 'localhost', origin: 'http://localhost:7070' }), 200)
  t.equal(
    await status({ host: 'localhost' }, '/nowhere'),
    404,
    'the preflight of every path makes no path of it'
  )
  for (const origin of ['https://evil.example', 'null', 'file://'])
    t.equal(await status({ host: 'localhost', origin }), 421, `${origin} may not`)
})

await t.test('another scheme of authorization is no reason to refuse a public path', async (t) => {
  const app = await build(t, { process: 'off' })
  await app.ready()
  const headers = { host: 'localhost', authorization: 'Basic eDp5' }
  t.equal((await app.inject({ url: '/livez', headers })).statusCode, 200)
  t.equal((await app.inject({ url: '/v1/jobs', headers })).statusCode, 401)
})

await t.test('health shows details only to those who may read jobs', async (t) => {
  const app = await build(t, { process: 'off' })
  await app.ready()
  const bare = (await app.inject({ url: '/health', headers: { host: 'localhost' } })).json<
    Record<string, unknown>
  >()
  t.same(Object.keys(bare).sort(), ['node', 'status'])
  const full = (await app.inject({ url: '/health', headers: as(testToken) })).json<Record<string, unknown>>()
  for (const key of ['capacity', 'queue', 'peers', 'providers', 'storage', 'limits']) t.ok(key in full, key)
})
