import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { asAdmin, build } from '../build.ts'

const page = 'https://page.example'
const preflight = {
  host: 'localhost',
  origin: page,
  'access-control-request-method': 'DELETE',
  'access-control-request-headers': 'authorization,idempotency-key'
}

await t.test(
  'pages of a listed origin may call, by preflight, with every method and header of ours',
  async (t) => {
    const app = await build(t, { process: 'off', corsOrigins: [page] })
    const asked = await app.inject({ method: 'OPTIONS', url: '/v1/jobs/x', headers: preflight })
    t.equal(asked.statusCode, 200)
    t.equal(asked.headers['access-control-allow-origin'], page)
    for (const method of ['GET', 'POST', 'PUT', 'DELETE'])
      t.ok(String(asked.headers['access-control-allow-methods']).includes(method), method)
    for (const name of ['authorization', 'content-type', 'idempotency-key', 'last-event-id', 'traceparent'])
      t.ok(String(asked.headers['access-control-allow-headers']).includes(name), name)
    t.equal(asked.headers['access-control-max-age'], '600')
    const answer = await app.inject({ url: '/v1/jobs', headers: { ...asAdmin, origin: page } })
    t.equal(answer.headers['access-control-allow-origin'], page)
    t.match(answer.headers['vary'], /origin/i)
    for (const name of ['location', 'retry-after', 'ratelimit', 'x-request-id'])
      t.ok(String(answer.headers['access-control-expose-headers']).split(', ').includes(name), name)
    const refused = await app.inject({
      method: 'OPTIONS',
      url: '/v1/jobs/x',
      headers: { ...preflight, origin: 'https://evil.example' }
    })
    t.equal(refused.statusCode, 421)
    t.equal(refused.headers['access-control-allow-origin'], undefined)
  }
)

await t.test('a page may read why it was refused, whatever refused it', async (t) => {
  const app = await build(t, { process: 'off', corsOrigins: [page], rateLimit: '5/60' })
  const from = { host: 'localhost', origin: page }
  for (const [url, headers, status] of [
    ['/v1/jobs', from, 401],
    ['/v1/jobs', { ...from, authorization: 'Bearer roost_unknown' }, 401],
    ['/v1/jobs', { ...from, authorization: 'nonsense' }, 401],
    ['/nowhere', from, 404],
    ['/schedule', from, 405],
    ['/v1/jobs', from, 429],
    ['/v1/jobs?limit=0', { ...asAdmin, origin: page }, 422],
    ['/v1/jobs/none', { ...asAdmin, origin: page }, 404]
  ] as const) {
    const answer = await app.inject({ url, headers })
    t.equal(answer.statusCode, status, url)
    t.equal(answer.headers['access-control-allow-origin'], page, `${status} ${url}`)
  }
})

await t.test('credentials are never allowed, so * gives away nothing', async (t) => {
  const app = await build(t, { process: 'off', corsOrigins: ['*'] })
  for (const answer of [
    await app.inject({ method: 'OPTIONS', url: '/v1/jobs', headers: preflight }),
    await app.inject({ url: '/v1/jobs', headers: { ...asAdmin, origin: page } })
  ]) {
    t.equal(answer.headers['access-control-allow-origin'], '*')
    t.equal(answer.headers['access-control-allow-credentials'], undefined)
  }
  const bare = await app.inject({ url: '/v1/jobs', headers: { host: 'localhost', origin: page } })
  t.equal(bare.statusCode, 401)
})

await t.test('without corsOrigins no page of another origin may call', async (t) => {
  const app = await build(t, { process: 'off' })
  const asked = await app.inject({ method: 'OPTIONS', url: '/v1/jobs', headers: preflight })
  t.equal(asked.headers['access-control-allow-origin'], undefined)
  t.ok(asked.statusCode >= 400)
})

await t.test('origins and proxies that mean nothing stop the start', async (t) => {
  const problem = (env: NodeJS.ProcessEnv) => {
    try {
      loadConfig([], env)
    } catch (error) {
      return (error as Error).message
    }
    return ''
  }
  t.equal(problem({ ROOST_CORS_ORIGINS: 'https://a.example,http://localhost:3000' }), '')
  for (const origins of ['https://a.example/', 'a.example', 'https://*.example', 'null'])
    t.match(problem({ ROOST_CORS_ORIGINS: origins }), /corsOrigins\.0.*scheme:\/\/host\[:port\]/, origins)
  t.match(problem({ ROOST_CORS_ORIGINS: '*,https://a.example' }), /corsOrigins has \* beside other origins/)
  t.equal(problem({ ROOST_TRUST_PROXY: '10.0.0.0/8,::1,fd00::/8' }), '')
  for (const proxy of ['10.0.0.0/33', '999.1.1.1', '::1/129', 'abc'])
    t.match(problem({ ROOST_TRUST_PROXY: proxy }), /trustProxy\.0 .*an IP address or a network/, proxy)
  t.match(problem({ ROOST_TRUST_PROXY: 'proxy.example' }), /trustProxy\.0.*an IP address or a network/)
})

await t.test('pages have hardened headers, the API only that nothing is sniffed', async (t) => {
  const app = await build(t, { process: 'off' })
  for (const url of ['/docs', '/docs/errors', '/docs/static/swagger-ui-bundle.js']) {
    const { headers, statusCode } = await app.inject({ url, headers: { host: 'localhost' } })
    t.equal(statusCode, 200, url)
    const policy = String(headers['content-security-policy'])
    t.match(policy, /default-src 'none'.*script-src 'self';.*frame-ancestors 'none'/, url)
    t.notMatch(policy, /unsafe/, url)
    t.equal(headers['x-frame-options'], 'DENY', url)
    t.equal(headers['referrer-policy'], 'no-referrer', url)
    t.equal(headers['x-content-type-options'], 'nosniff', url)
    t.equal(headers['strict-transport-security'], undefined, 'TLS is the business of the proxy')
  }
  const { headers } = await app.inject({ url: '/v1/jobs', headers: asAdmin })
  t.equal(headers['content-security-policy'], undefined)
  t.equal(headers['x-content-type-options'], 'nosniff')
})
