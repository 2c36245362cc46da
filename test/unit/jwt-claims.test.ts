import t from 'tap'
import { requireClaims, scopesOf, tenantOf, type ClaimRules } from '../../plugins/auth/jwt/claims.ts'
import { loadConfig } from '../../src/config/load.ts'

const rules = (more: Partial<ClaimRules> = {}): ClaimRules => ({
  requiredClaims: {},
  scopeClaim: 'scope',
  ...more
})

await t.test('the tenant comes from the claim, by a map, or is the default', async (t) => {
  const byClaim = rules({ tenantClaim: 'org' })
  t.equal(tenantOf({ org: 'lab-1' }, byClaim), 'lab-1')
  t.equal(tenantOf({ org: ['lab-1'] }, byClaim), 'lab-1', 'a list of one')
  t.equal(tenantOf({}, rules({ defaultTenant: 'guests' })), 'guests')
  t.equal(tenantOf({}, rules({ tenantClaim: 'org', defaultTenant: 'guests' })), 'guests')
  t.equal(tenantOf({ realm: { org: 'lab' } }, rules({ tenantClaim: '/realm/org' })), 'lab')
  t.equal(tenantOf({ 'https://x.example/t': 'lab' }, rules({ tenantClaim: 'https://x.example/t' })), 'lab')
  const byMap = rules({ tenantClaim: 'groups', tenants: { 'The Lab': 'lab', Guests: 'guests', Ops: 'lab' } })
  t.equal(tenantOf({ groups: ['unrelated', 'The Lab'] }, byMap), 'lab')
  t.equal(tenantOf({ groups: ['Ops', 'The Lab'] }, byMap), 'lab', 'two values, one tenant')
})

await t.test('a tenant that cannot be told is refused in words', async (t) => {
  const byClaim = rules({ tenantClaim: 'org' })
  const byMap = rules({ tenantClaim: 'org', tenants: { a: 'x', b: 'y' } })
  const cases: [claims: Record<string, unknown>, by: ClaimRules, says: RegExp][] = [
    [{}, byClaim, /no claim org, which tells its tenant/],
    [{ org: 'Not A Name' }, byClaim, /must be one tenant's name: lower-case/],
    [{ org: '' }, byClaim, /must be one tenant's name/],
    [{ org: 'x'.repeat(64) }, byClaim, /must be one tenant's name/],
    [{ org: 7 }, byClaim, /must be one tenant's name/],
    [{ org: ['a', 'b'] }, byClaim, /must be one tenant's name/],
    [{ org: [] }, byClaim, /must be one tenant's name/],
    [{ org: { a: 1 } }, byClaim, /must be one tenant's name/],
    [{ org: 'c' }, byMap, /no value that is a tenant here/],
    [{ org: 'constructor' }, byMap, /no value that is a tenant here/],
    [{ org: ['a', 'b'] }, byMap, /stands for several tenants: x, y/],
    // A bad value is no missing one: the default does not stand in for it.
    [
      { org: 'Not A Name' },
      rules({ tenantClaim: 'org', defaultTenant: 'default' }),
      /must be one tenant's name/
    ]
  ]
  for (const [claims, by, says] of cases)
    t.throws(() => tenantOf(claims, by), { code: 'forbidden', message: says }, JSON.stringify(claims))
})

await t.test('scopes come as words, as a list, or by groups', async (t) => {
  t.same([...scopesOf({ scope: 'openid read:jobs  write:jobs' }, rules())], ['read:jobs', 'write:jobs'])
  t.same([...scopesOf({ scope: 'read:jobs admin' }, rules())], ['read:jobs'], 'an admin is made by a mapping')
  t.same([...scopesOf({ scope: 'admin' }, rules({ scopes: { admin: ['admin'] } }))], ['admin'])
  t.same([...scopesOf({ scp: ['read:jobs', 7, null] }, rules({ scopeClaim: 'scp' }))], ['read:jobs'])
  for (const value of [undefined, null, 7, true, {}, [], ''])
    t.same([...scopesOf({ scope: value }, rules())], [], JSON.stringify(value))
  const byGroup = rules({
    scopeClaim: '/realm_access/roles',
    scopes: { ops: ['admin', 'read:jobs'], devs: ['read:jobs', 'write:jobs'] }
  })
  t.same([...scopesOf({ realm_access: { roles: ['devs', 'ops', 'toString'] } }, byGroup)].sort(), [
    'admin',
    'read:jobs',
    'write:jobs'
  ])
  t.same([...scopesOf({ realm_access: { roles: ['admin'] } }, byGroup)], [], 'a group is no scope')
})

await t.test('required claims have one of their values', async (t) => {
  const by = rules({ requiredClaims: { email_verified: true, groups: ['roost', 'ops'] } })
  t.doesNotThrow(() => requireClaims({ email_verified: true, groups: ['x', 'ops'] }, by))
  for (const claims of [
    { groups: ['ops'] },
    { email_verified: 'true', groups: ['ops'] },
    { email_verified: true },
    { email_verified: true, groups: 'others' }
  ])
    t.throws(() => requireClaims(claims, by), { code: 'forbidden' }, JSON.stringify(claims))
})

await t.test('an issuer that is configured wrong stops the start with the name of the key', async (t) => {
  const problem = (entry: object) => {
    try {
      loadConfig([], { ROOST_JWT: JSON.stringify([entry]) })
    } catch (error) {
      return (error as Error).message
    }
    return ''
  }
  const good = { issuer: 'https://id.example', audience: 'roost', defaultTenant: 'default' }
  t.equal(problem(good), '')
  const cases: [change: object, says: RegExp][] = [
    [{ issuer: 'http://id.example' }, /jwt\.0\.issuer must be an https:\/\/ URL/],
    [{ jwksUri: 'http://10.0.0.1/keys' }, /jwt\.0\.jwksUri must be an https:\/\/ URL/],
    [{ defaultTenant: undefined }, /jwt\.0 needs tenantClaim, defaultTenant or both/],
    [{ tenants: { a: 'b' } }, /jwt\.0\.tenants needs tenantClaim/],
    [{ algorithms: ['HS256'] }, /jwt\.0\.algorithms\.0.*must be one of/],
    [{ algorithms: ['none'] }, /jwt\.0\.algorithms\.0.*must be one of/],
    [{ audience: undefined }, /jwt\.0\.audience/],
    [{ scopes: { a: ['root'] } }, /jwt\.0\.scopes\.a\.0/],
    [{ clockSkew: 3 }, /jwt\.0\.clockSkew .*is no known field/]
  ]
  for (const [change, says] of cases) t.match(problem({ ...good, ...change }), says)
  t.throws(() => loadConfig([], { ROOST_JWT: JSON.stringify([good, good]) }), /stands there twice/)
  t.throws(() => loadConfig([], { ROOST_JWT: '{nonsense' }), /jwt \(ROOST_JWT\) must be array/)
})
