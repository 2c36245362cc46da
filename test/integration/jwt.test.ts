import t from 'tap'
import { CompactSign, generateKeyPair, UnsecuredJWT } from 'jose'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { build, type TestLike } from '../build.ts'
import { createFakeClock } from '../fake-clock.ts'
import { createIssuer, createKey, type Algorithm, type Claims } from '../jwt-issuer.ts'

/** Made once: its primes take a second and more on a busy machine. */
const rsaKey = await createKey('k1', 'RS256')

type Entry = Partial<Config['jwt'][number]>

/** As the configuration gives it, defaults and all. */
const trust = (...entries: Entry[]): Config['jwt'] =>
  loadConfig([], {
    ROOST_JWT: JSON.stringify(
      entries.map((entry) => ({ audience: 'roost', defaultTenant: 'default', ...entry }))
    )
  }).config.jwt

/** A service on a clock of the test's, and what it answers to a token. */
async function open(t: TestLike, jwt: Config['jwt']) {
  const clock = createFakeClock(Date.UTC(2026, 10, 25))
  const app = await build(t, { process: 'off', jwt }, { clock })
  await app.ready()
  const ask = async (token: string, url = '/v1/jobs') => {
    const response = await app.inject({
      url,
      headers: { host: 'localhost', authorization: `Bearer ${token}` }
    })
    const { code, detail = '' } = response.json<{ code?: string; detail?: string }>()
    return { status: response.statusCode, code, detail, headers: response.headers }
  }
  const seconds = () => Math.floor(clock.now() / 1000)
  return { app, clock, ask, seconds }
}

await t.test(
  'tokens of each kind of key are taken, with their tenant, scopes and a bounded id',
  async (t) => {
    for (const alg of ['EdDSA', 'RS256', 'ES256'] as Algorithm[]) {
      const key = alg === 'RS256' ? rsaKey : await createKey('k1', alg)
      const issuer = await createIssuer(t, [key])
      const { app, ask, seconds } = await open(t, trust({ issuer: issuer.url, tenantClaim: 'org' }))
      const claims = { sub: 'ada@example.com', org: 'lab', exp: seconds() + 60, iat: seconds() }
      const token = await issuer.sign(key, { ...claims, scope: 'read:jobs write:jobs openid' })
      t.equal((await ask(token)).status, 200, alg)
      const principal = await app.auth.authenticate(token, () => 'none')
      t.match(principal, { name: 'ada@example.com', tenant: 'lab', tokenId: /^jwt:[\w-]{22}$/ })
      t.same([...principal.scopes], ['read:jobs', 'write:jobs'])
      const other = await issuer.sign(key, { ...claims, exp: seconds() + 90, scope: ['admin'] })
      t.equal(
        (await app.auth.authenticate(other, () => 'none')).tokenId,
        principal.tokenId,
        'one person, one id'
      )
      t.equal((await ask(await issuer.sign(key, { ...claims, scope: 'write:jobs' }))).code, 'forbidden')
      t.same(issuer.asked, ['/.well-known/openid-configuration', '/keys'], 'asked once')
    }
  }
)

await t.test('what is not as it must be is refused, and why is said', async (t) => {
  const key = rsaKey
  const stranger = await createKey('k1', 'RS256')
  const issuer = await createIssuer(t, [key])
  const { ask, seconds } = await open(t, trust({ issuer: issuer.url }))
  const now = seconds()
  const good = { exp: now + 60, iat: now }
  const sign = (claims: Claims, header = {}) => issuer.sign(key, { ...good, ...claims }, header)
  t.equal((await ask(await sign({}))).status, 200)
  const cases: [what: string, token: string, says: RegExp][] = [
    ['expired', await sign({ exp: now - 31 }), /expired/],
    ['not valid yet', await sign({ nbf: now + 31 }), /not valid yet \(nbf\)/],
    ['issued in the future', await sign({ iat: now + 31 }), /issued \(iat\) in the future/],
    ['without an end', await sign({ exp: undefined }), /no claim exp/],
    ['an end that is no number', await sign({ exp: 'tomorrow' }), /exp is not valid/],
    ['of nobody', await sign({ sub: undefined }), /no claim sub/],
    [
      'for another audience',
      await sign({ aud: 'elsewhere' }),
      /another audience \(aud\); here it must name roost/
    ],
    ['for no audience', await sign({ aud: undefined }), /audience|aud/],
    ['of another issuer', await sign({ iss: 'https://elsewhere.example' }), /issuer \(iss\) is not trusted/],
    ['of an issuer that is no text', await sign({ iss: 7 }), /not trusted|well-formed/],
    ['of a type for something else', await sign({}, { typ: 'logout+jwt' }), /type \(typ\).*not logout\+jwt/],
    [
      'signed by a stranger under the same kid',
      await issuer.sign(stranger, good),
      /signature is not its issuer's/
    ],
    ['of an unknown key', await sign({}, { kid: 'k2' }), /key \(kid\) that its issuer does not publish/],
    [
      'unsigned',
      new UnsecuredJWT({ iss: issuer.url, sub: 'ada', aud: 'roost', ...good }).encode(),
      /must be signed with/
    ],
    ['no JWT at all', 'eyJh.b.c', /no well-formed JWT/],
    ['a header that is no JSON', 'bm9wZQ.e30.e30', /no well-formed JWT/],
    ['cut', (await sign({})).slice(0, -4), /signature/],
    ['changed', (await sign({})).replace(/\.(.{20})./, '.$1A'), /signature|well-formed/],
    ['huge', await sign({ note: 'x'.repeat(9_000) }), /longer than 8192/]
  ]
  for (const [what, token, says] of cases) {
    const { status, code, detail, headers } = await ask(token)
    t.same([status, code], [401, 'unauthorized'], `${what}: ${detail}`)
    t.match(detail, says, what)
    t.equal(headers['www-authenticate'], 'Bearer realm="roost", error="invalid_token"', what)
    t.notOk(detail.includes(token.split('.')[2] || 'no signature'), 'the token is not said again')
  }
})

await t.test(
  'a symmetric or unlisted algorithm is refused, also with the public key as its secret',
  async (t) => {
    const key = rsaKey
    const issuer = await createIssuer(t, [key])
    const { ask, seconds } = await open(t, trust({ issuer: issuer.url, algorithms: ['RS256'] }))
    const payload = Buffer.from(
      JSON.stringify({ iss: issuer.url, sub: 'ada', aud: 'roost', exp: seconds() + 60, scope: 'admin' })
    )
    const confused = await new CompactSign(payload)
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .sign(Buffer.from(JSON.stringify(key.jwk)))
    t.match(await ask(confused), { status: 401, detail: /must be signed with RS256/ })
    const { privateKey } = await generateKeyPair('ES256')
    const unlisted = await new CompactSign(payload)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(privateKey)
    t.match(await ask(unlisted), { status: 401, detail: /must be signed with RS256/ })
    t.same(issuer.asked, [], 'neither costs a question to the issuer')
  }
)

await t.test('clocks may differ by the skew, no more, and a cached token ends in time', async (t) => {
  const key = await createKey('k1')
  const issuer = await createIssuer(t, [key])
  const { ask, clock, seconds } = await open(t, trust({ issuer: issuer.url, clockSkewSeconds: 5 }))
  const token = await issuer.sign(key, { exp: seconds() + 10, nbf: seconds() + 4, iat: seconds() + 4 })
  t.equal((await ask(token)).status, 200)
  clock.advance(14_000)
  t.equal((await ask(token)).status, 200, 'within the skew')
  clock.advance(1_001)
  t.match(await ask(token), { status: 401, detail: /expired/ })
})

await t.test('two issuers have each its own keys and rules', async (t) => {
  const [first, second] = [await createKey('same-kid'), await createKey('same-kid')]
  const [a, b] = [await createIssuer(t, [first]), await createIssuer(t, [second])]
  const { app, ask, seconds } = await open(
    t,
    trust({ issuer: a.url }, { issuer: b.url, jwksUri: `${b.url}/keys`, defaultTenant: 'guests' })
  )
  const exp = seconds() + 60
  t.equal((await ask(await a.sign(first, { exp }))).status, 200)
  const guest = await b.sign(second, { exp })
  t.equal((await app.auth.authenticate(guest, () => 'none')).tenant, 'guests')
  t.same(b.asked, ['/keys'], 'a jwksUri needs no discovery')
  t.match(await ask(await b.sign(second, { exp, iss: a.url })), { status: 401, detail: /signature/ })
  t.match(await ask(await a.sign(first, { exp, iss: b.url })), { status: 401, detail: /signature/ })
})

await t.test('an issuer changes its keys', async (t) => {
  const [old, next] = [await createKey('2026-10'), await createKey('2026-11', 'ES256')]
  const issuer = await createIssuer(t, [old])
  const { ask, clock, seconds } = await open(t, trust({ issuer: issuer.url, jwksUri: `${issuer.url}/keys` }))
  const withOld = await issuer.sign(old, { exp: seconds() + 7200 })
  t.equal((await ask(withOld)).status, 200)
  issuer.publish([next])
  const withNext = await issuer.sign(next, { exp: seconds() + 7200 })
  t.match(
    await ask(withNext),
    { status: 401, detail: /does not publish/ },
    'within ten seconds nobody asks again'
  )
  clock.advance(10_000)
  t.equal((await ask(withNext)).status, 200, 'an unknown key id makes it look')
  t.equal((await ask(withOld)).status, 200, 'verified before')
  clock.advance(5 * 60_000)
  t.match(await ask(withOld), { status: 401, detail: /does not publish/ }, 'for five minutes at most')
})

await t.test('made-up key ids do not make it hammer the issuer', async (t) => {
  const key = await createKey('k1')
  const issuer = await createIssuer(t, [key])
  const { ask, clock, seconds } = await open(t, trust({ issuer: issuer.url, jwksUri: `${issuer.url}/keys` }))
  const exp = seconds() + 600
  const made = (i: number) => issuer.sign(key, { exp }, { kid: `made-up-${i}` })
  const burst = await Promise.all(Array.from({ length: 20 }, async (_, i) => await ask(await made(i))))
  t.ok(burst.every(({ status }) => status === 401))
  t.equal(issuer.asked.length, 1)
  clock.advance(10_000)
  await Promise.all(Array.from({ length: 20 }, async (_, i) => await ask(await made(100 + i))))
  t.equal(issuer.asked.length, 2, 'once in ten seconds')
})

await t.test('an issuer that is down', async (t) => {
  const [old, next] = [await createKey('old'), await createKey('next')]
  const issuer = await createIssuer(t, [old])
  const { ask, clock, seconds } = await open(t, trust({ issuer: issuer.url }))
  const token = async (key = old, after = 0) =>
    await issuer.sign(key, { exp: seconds() + after + 100_000, jti: `${Math.random()}` })

  await issuer.down()
  const first = await ask(await token())
  t.match(first, { status: 503, code: 'issuer-unavailable', detail: /could not be fetched.*ECONNREFUSED/ })
  t.equal(first.headers['retry-after'], '10')
  await issuer.up()
  t.equal((await ask(await token())).status, 503, 'it is not asked again at once')
  clock.advance(10_000)
  t.equal((await ask(await token())).status, 200)

  await issuer.down()
  clock.advance(3600_000)
  t.equal((await ask(await token())).status, 200, 'its last keys hold')
  t.match(
    await ask(await token(next)),
    { status: 503, code: 'issuer-unavailable' },
    'whether a key is new cannot be told'
  )
  clock.advance(23 * 3600_000 + 1)
  t.equal((await ask(await token())).status, 503, 'for a day')
  await issuer.up()
  issuer.publish([next])
  clock.advance(10_000)
  t.equal((await ask(await token(next))).status, 200)
  t.equal((await ask(await token(old))).status, 401)
})

await t.test('what an issuer answers must be keys, of itself, and of a bounded size', async (t) => {
  const key = await createKey('k1')
  const issuer = await createIssuer(t, [key])
  const { ask, clock, seconds } = await open(t, trust({ issuer: issuer.url }))
  const discovery = '/.well-known/openid-configuration'
  const cases: [documents: Record<string, unknown>, says: RegExp][] = [
    [
      { [discovery]: { issuer: 'https://evil.example', jwks_uri: `${issuer.url}/keys` } },
      /is of the issuer "https:\/\/evil/
    ],
    [
      { [discovery]: { issuer: issuer.url, jwks_uri: 'http://10.0.0.1/keys' } },
      /names no https:\/\/ jwks_uri/
    ],
    [{ [discovery]: null }, /is of the issuer undefined/],
    [{ [discovery]: '<html>' }, /did not answer with JSON/],
    [{ [discovery]: undefined }, /answered 404/],
    [{ '/keys': { keys: 'none' } }, /malformed/i],
    [{ '/keys': 'x'.repeat(300_000) }, /more than 262144 bytes/]
  ]
  for (const [documents, says] of cases) {
    issuer.answer(documents)
    clock.advance(10_000)
    const token = await issuer.sign(key, { exp: seconds() + 60 })
    t.match(await ask(token), { status: 503, detail: says }, String(says))
  }
  issuer.answer({})
  clock.advance(10_000)
  t.equal((await ask(await issuer.sign(key, { exp: seconds() + 60 }))).status, 200)
})

await t.test('a stream ends with the token that opened it', async (t) => {
  const key = await createKey('k1')
  const issuer = await createIssuer(t, [key])
  const { app, clock, seconds } = await open(t, trust({ issuer: issuer.url }))
  const token = await issuer.sign(key, { exp: seconds() + 60 })
  const principal = await app.auth.authenticate(token, () => 'none')
  const over = new Promise<string>((resolve) => app.auth.watch(principal, resolve))
  clock.advance(89_000)
  t.equal(await Promise.race([over, Promise.resolve('still open')]), 'still open')
  clock.advance(1_000)
  t.equal(await over, 'the token has expired')
})
