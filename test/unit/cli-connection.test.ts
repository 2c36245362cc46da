import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { connect, dataDirOf, readServiceFile } from '../../src/cli/connection.ts'

const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

function errorOf(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

/** A data directory as a running service leaves it. */
function dataDirFor(t: { testdir(): string }, over: object = {}): string {
  const dir = t.testdir()
  writeFileSync(
    join(dir, 'service.json'),
    JSON.stringify({ url: 'http://127.0.0.1:7171', pid: process.pid, bootId, ...over })
  )
  writeFileSync(join(dir, 'token'), 'local-token\n')
  return dir
}

await t.test('the service of the data directory is found, with its token', async (t) => {
  const dataDir = dataDirFor(t)
  t.same(connect({ env: { ROOST_DATA_DIR: dataDir } }), {
    url: 'http://127.0.0.1:7171',
    token: 'local-token',
    isLocal: true
  })
  t.same(connect({ env: {}, dataDir }).url, 'http://127.0.0.1:7171')
})

await t.test("a dead service is none: its port may be another program's by now", async (t) => {
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  t.equal(readServiceFile(dataDirFor(t, { pid })), null)
  t.equal(readServiceFile(dataDirFor(t, { bootId: 'another boot' })), null)
  t.equal(readServiceFile(t.testdir()), null)
  t.match(
    errorOf(() => connect({ env: {}, dataDir: t.testdir() })),
    { exitCode: 69, remedy: 'Start it with: ./roost up' }
  )
})

await t.test('a URL may be given; the local token goes to this machine only', async (t) => {
  const dataDir = dataDirFor(t)
  t.match(connect({ env: { ROOST_URL: 'http://localhost:9/x/', ROOST_DATA_DIR: dataDir } }), {
    url: 'http://localhost:9/x',
    token: 'local-token',
    isLocal: true
  })
  t.match(
    errorOf(() => connect({ env: { ROOST_DATA_DIR: dataDir }, url: 'https://roost.example' })),
    { exitCode: 77 }
  )
  t.match(
    errorOf(() => connect({ env: { ROOST_DATA_DIR: dataDir }, url: 'http://127.0.0.1.example:7070' })),
    { exitCode: 77 }
  )
  t.match(connect({ env: { ROOST_TOKEN: 'given' }, url: 'https://roost.example' }), {
    token: 'given',
    isLocal: false
  })
  for (const url of ['localhost:7070', 'ftp://x', 'nonsense'])
    t.match(
      errorOf(() => connect({ env: {}, url })),
      { exitCode: 64, message: /--url must be/ }
    )
})

await t.test('a token comes from the variable, then the file, then the data directory', async (t) => {
  const dataDir = dataDirFor(t)
  writeFileSync(join(dataDir, 'other'), 'of a file\n')
  const token = (env: Record<string, string>) => connect({ env, dataDir }).token
  t.equal(token({ ROOST_TOKEN: 'a', ROOST_TOKEN_FILE: join(dataDir, 'other') }), 'a')
  t.equal(token({ ROOST_TOKEN_FILE: join(dataDir, 'other') }), 'of a file')
  t.match(
    errorOf(() => token({ ROOST_TOKEN_FILE: join(dataDir, 'none') })),
    { exitCode: 77 }
  )
})

await t.test('the data directory is looked for as the service does', async (t) => {
  t.equal(dataDirOf({ env: { XDG_DATA_HOME: '/x' } }), '/x/roost')
  t.match(dataDirOf({ env: {} }), /\/\.local\/share\/roost$/)
  t.equal(dataDirOf({ env: { ROOST_DATA_DIR: '/a' }, dataDir: '/b' }), '/b')
})
