import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import observabilityPlugin from '../../plugins/observability/index.ts'
import secretsPlugin from '../../plugins/secrets/index.ts'
import { openKeyFile } from '../../plugins/secrets/key-file.ts'
import { seal, unseal } from '../../plugins/secrets/seal.ts'
import { createSecrets, type SecretsOptions } from '../../plugins/secrets/secrets.ts'
import storagePlugin from '../../plugins/storage/index.ts'
import { openSqliteStorage } from '../../plugins/storage/sqlite/open.ts'
import { systemClock } from '../../src/contracts/clock.ts'

function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'roost-secrets-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

async function open(t: Test, options: Partial<SecretsOptions> = {}) {
  const dataDir = folder(t)
  const storage = await openSqliteStorage({ dataDir })
  t.teardown(() => storage.close())
  const keyFile = join(dataDir, 'secrets.key')
  const secretsDir = join(dataDir, 'mounted')
  mkdirSync(secretsDir)
  return {
    dataDir,
    storage,
    keyFile,
    secretsDir,
    secrets: createSecrets({
      storage,
      keyFile,
      secretsDir,
      env: {},
      clock: { ...systemClock, now: () => 1_000 },
      ...options
    })
  }
}

await t.test('a stored secret comes back, for its tenant alone, and never in clear on disk', async (t) => {
  const { secrets, storage, keyFile, dataDir } = await open(t)
  await secrets.set('team', 'api-key', 'hunter-2-hunter-2')
  t.same(await secrets.resolve('team', { TOKEN: 'api-key', AGAIN: 'api-key' }), {
    env: { TOKEN: 'hunter-2-hunter-2', AGAIN: 'hunter-2-hunter-2' }
  })
  t.same(await secrets.resolve('other', { TOKEN: 'api-key' }), { missing: ['api-key'] })
  t.same(await secrets.resolve('team', {}), { env: {} })
  t.notMatch((await storage.secrets.find('team', 'api-key'))!.sealed, 'hunter')
  for (const file of readdirSync(dataDir).filter((name) => name.startsWith('roost.db'))) {
    t.notOk(readFileSync(join(dataDir, file)).includes('hunter-2'), file)
  }
  t.equal(statSync(keyFile).mode & 0o777, 0o600)
  t.equal(statSync(keyFile).size, 32)
  await secrets.set('team', 'api-key', 'newer')
  t.same(await secrets.resolve('team', { TOKEN: 'api-key' }), { env: { TOKEN: 'newer' } })
  t.same([await secrets.remove('team', 'api-key'), await secrets.remove('team', 'api-key')], [true, false])
  t.same(await secrets.resolve('team', { A: 'api-key', B: 'b', C: 'b' }), { missing: ['api-key', 'b'] })
})

await t.test(
  'stored comes before a file, a file before the environment; both belong to the default tenant',
  async (t) => {
    const { secrets, secretsDir } = await open(t, {
      env: { ROOST_SECRET_DB_PASSWORD: 'from environment', OTHER: 'x', ROOST_SECRET__: 'no name' }
    })
    const ask = async (tenant = 'default') => await secrets.resolve(tenant, { P: 'db.password' })
    t.same(await ask(), { env: { P: 'from environment' } })
    writeFileSync(join(secretsDir, 'db.password'), 'from file\r\n')
    t.same(await ask(), { env: { P: 'from file' } })
    await secrets.set('default', 'db.password', 'stored\n')
    t.same(await ask(), { env: { P: 'stored\n' } }, 'a stored one is kept as it was set')
    t.same(await ask('other'), { missing: ['db.password'] })
  }
)

await t.test('lists names and sources, never values', async (t) => {
  const { secrets, secretsDir } = await open(t, {
    env: { ROOST_SECRET_DB_PASSWORD: 'v', ROOST_SECRET__: 'v', PATH: 'v', ROOST_SECRET_GONE: undefined }
  })
  await secrets.set('default', 'stored-one', 'v')
  await secrets.set('default', 'both', 'v')
  writeFileSync(join(secretsDir, 'both'), 'v')
  mkdirSync(join(secretsDir, '..data'))
  writeFileSync(join(secretsDir, '..data', 'linked'), 'through a link\n\n')
  symlinkSync(join('..data', 'linked'), join(secretsDir, 'linked'))
  symlinkSync('nowhere', join(secretsDir, 'dangling'))
  mkdirSync(join(secretsDir, 'folder'))
  const listed = await secrets.list('default')
  t.same(
    listed.map(({ name, source }) => [name, source]),
    [
      ['both', 'stored'],
      ['db_password', 'environment'],
      ['linked', 'file'],
      ['stored-one', 'stored']
    ]
  )
  t.equal(listed[0]?.updatedAt, '1970-01-01T00:00:01.000Z')
  t.equal(listed[1]?.updatedAt, null)
  t.same(await secrets.list('other'), [])
  t.same(
    await secrets.resolve('default', { L: 'linked', E: 'db_password' }),
    { env: { L: 'through a link\n', E: 'v' } },
    'one line end goes'
  )
  t.same(await secrets.resolve('default', { F: 'folder', D: 'dangling', U: '../secrets.key' }), {
    missing: ['folder', 'dangling', '../secrets.key']
  })
})

await t.test('a folder of secrets that is not there holds none', async (t) => {
  for (const secretsDir of ['/nonexistent/roost', '/dev/null', null]) {
    const { secrets } = await open(t, { secretsDir })
    t.same(await secrets.list('default'), [])
    t.same(await secrets.resolve('default', { A: 'a' }), { missing: ['a'] })
  }
})

await t.test('what no environment can hold is refused', async (t) => {
  const { secrets, secretsDir } = await open(t)
  await t.rejects(secrets.set('default', '../up', 'v'), { code: 'invalid', errors: [{ pointer: '/name' }] })
  await t.rejects(secrets.set('default', 'a', 'v\0'), { code: 'invalid', errors: [{ pointer: '/value' }] })
  await t.rejects(secrets.set('default', 'a', 'é'.repeat(70_000)), {
    code: 'invalid',
    errors: [{ pointer: '/value' }]
  })
  writeFileSync(join(secretsDir, 'zero'), 'a\0b')
  writeFileSync(join(secretsDir, 'large'), 'x'.repeat(131_073))
  await t.rejects(secrets.resolve('default', { A: 'zero' }), /zero holds a zero byte/)
  await t.rejects(secrets.resolve('default', { A: 'large' }), /large has 131073 bytes/)
})

await t.test('the key file', async (t) => {
  await t.test('that others may read is refused with what to do', async (t) => {
    const { secrets, keyFile } = await open(t)
    await secrets.set('default', 'a', 'v')
    chmodSync(keyFile, 0o640)
    const refusal = {
      name: 'KeyFileError',
      message: `The key file ${keyFile} may be read by others (mode 0640): run chmod 600 on it`
    }
    await t.rejects(secrets.check(), refusal)
    await t.rejects(secrets.set('default', 'b', 'v'), refusal)
    await t.rejects(secrets.resolve('default', { A: 'a' }), refusal)
  })
  await t.test('of another size is refused', async (t) => {
    const { secrets, keyFile } = await open(t)
    await secrets.check()
    writeFileSync(keyFile, 'short', { mode: 0o600 })
    await t.rejects(secrets.check(), /has 5 bytes where a key has 32/)
  })
  await t.test('that is gone or another is told, and no new key is made to hide it', async (t) => {
    const { secrets, keyFile } = await open(t)
    await secrets.set('default', 'a', 'v')
    writeFileSync(keyFile, Buffer.alloc(32, 1))
    await t.rejects(secrets.resolve('default', { A: 'a' }), /a does not open with the key file/)
    rmSync(keyFile)
    await secrets.check()
    await t.rejects(secrets.resolve('default', { A: 'a' }), /secrets\.key is gone: put it back/)
    t.notOk(existsSync(keyFile))
  })
  await t.test('in a path that cannot be looked at is an error, not an absent key', async (t) => {
    const { storage, keyFile } = await open(t)
    writeFileSync(keyFile, Buffer.alloc(32), { mode: 0o600 })
    await t.rejects(createSecrets({ storage, keyFile: join(keyFile, 'below') }).check(), { code: 'ENOTDIR' })
    await t.rejects(openKeyFile(join(keyFile, 'below')), { code: 'ENOTDIR' })
  })
  await t.test('is one, however many make it at once', async (t) => {
    const keyFile = join(folder(t), 'new', 'folder', 'secrets.key')
    const keys = await Promise.all(Array.from({ length: 8 }, async () => await openKeyFile(keyFile)))
    t.equal(new Set(keys.map((key) => key.toString('hex'))).size, 1)
    t.same(readdirSync(join(keyFile, '..')), ['secrets.key'], 'no drafts are left')
  })
})

await t.test(
  'a sealed value opens with its key, tenant and name unchanged, and with nothing else',
  async () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes))
    const owner = fc.record({ tenant: fc.string(), name: fc.string() })
    fc.assert(
      fc.property(
        key,
        owner,
        fc.string({ unit: 'grapheme' }),
        (key, owner, value) => unseal(key, owner, seal(key, owner, value)) === value
      )
    )
    fc.assert(
      fc.property(key, owner, owner, fc.nat(), (key, owner, other, at) => {
        const sealed = seal(key, owner, 'value')
        const bytes = Buffer.from(sealed, 'base64')
        bytes[at % bytes.length]! ^= 1
        const otherKey = Buffer.from(key)
        otherKey[at % 32]! ^= 1
        const moved =
          other.tenant === owner.tenant && other.name === owner.name ? null : unseal(key, other, sealed)
        return (
          moved === null &&
          unseal(key, owner, bytes.toString('base64')) === null &&
          unseal(otherKey, owner, sealed) === null &&
          unseal(key, owner, bytes.subarray(0, at % 28).toString('base64')) === null &&
          seal(key, owner, 'value') !== sealed
        )
      })
    )
  }
)

await t.test('the plugin checks the key file at start', async (t) => {
  const build = async (dataDir: string) => {
    const app = Fastify()
    t.teardown(() => app.close())
    app.decorate('clock', systemClock)
    await app.register(observabilityPlugin, {
      metricsPort: null,
      host: '127.0.0.1',
      version: '0',
      tracing: null
    })
    await app.register(storagePlugin, { dataDir })
    await app.register(secretsPlugin, { dataDir, secretsDir: '' })
    return app
  }
  const dataDir = folder(t)
  mkdirSync(join(dataDir, 'bad'))
  writeFileSync(join(dataDir, 'bad', 'secrets.key'), 'x', { mode: 0o600 })
  const app = await build(join(dataDir, 'good'))
  await app.secrets.set('default', 'a', 'v')
  t.same(await app.secrets.resolve('default', { A: 'a' }), { env: { A: 'v' } })
  await t.rejects(build(join(dataDir, 'bad')), /has 1 bytes where a key has 32/)
})
