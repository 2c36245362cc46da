import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { openPostgresStorage } from '../../plugins/storage/postgres/open.ts'
import { parseTarget } from '../../plugins/storage/postgres/url.ts'
import { startService } from '../start-service.ts'

const passwordless = (error: unknown) => !String(error).includes('hunter2')
/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

await t.test('a database URL is read as libpq does, with the words of its parts', async (t) => {
  const { config, place } = parseTarget(
    'postgres://me:p%40ss@db.example:5433/jobs?options=-c%20search_path%3Dx'
  )
  t.equal(place, 'db.example:5433/jobs')
  t.match(config, {
    host: 'db.example',
    port: 5433,
    database: 'jobs',
    user: 'me',
    password: 'p@ss',
    options: '-c search_path=x',
    ssl: false
  })
  t.equal(parseTarget('postgresql://[::1]/jobs').place, '::1:5432/jobs')
  t.match(parseTarget('postgres:///jobs?host=/run/postgresql').config, { host: '/run/postgresql' })
  t.match(parseTarget('postgres://db/x?sslmode=require').config.ssl, { rejectUnauthorized: false })
  t.match(parseTarget('postgres://db/x?sslmode=verify-full').config.ssl, { rejectUnauthorized: true })
  const ca = join(t.testdir({ ca: 'PEM' }), 'ca')
  t.match(parseTarget(`postgres://db/x?sslmode=verify-ca&sslrootcert=${ca}`).config.ssl, {
    rejectUnauthorized: true,
    ca: 'PEM'
  })
  for (const [url, says] of [
    ['postgres://me:hunter2', /is no URL/],
    ['postgres://me:hunter2@db', /names no database/],
    ['postgres:///jobs', /names no host/],
    ['postgres://me:hunter2@db/x?sslmode=prefer', /sslmode=prefer.*disable, require, verify-ca, verify-full/],
    ['postgres://me:hunter2@db/x?sslmode=verify-ca', /needs sslrootcert/],
    ['postgres://me:hunter2@db/x?sslmode=require&sslrootcert=/none', /sslrootcert=\/none.*ENOENT/],
    ['postgres://me:hunter2@db/x?pool=5', /"pool".*known: host, options/],
    ['postgres://me:hunter2@db:port/x', /is no URL/]
  ] as const) {
    const error = t.throws(() => parseTarget(url), { message: says })
    t.ok(passwordless(error))
  }
})

await t.test(
  'a database that is not there stops the start with its place, and frees the directory',
  async (t) => {
    const port = await closedPort()
    const databaseUrl = `postgres://me:hunter2@127.0.0.1:${port}/jobs`
    const dataDir = t.testdir()
    for (let twice = 0; twice < 2; twice++) {
      const error: unknown = await openPostgresStorage({ databaseUrl, dataDir }).catch((e: unknown) => e)
      t.match(error, {
        message: `The database 127.0.0.1:${port}/jobs refuses connections (ECONNREFUSED). Start it, or correct ROOST_DATABASE_URL.`
      })
      t.ok(passwordless((error as Error).stack))
    }
    const said: unknown = await startService({ dataDir, env: { ROOST_DATABASE_URL: databaseUrl } }).catch(
      (error: unknown) => error
    )
    t.match(
      String(said),
      /ended before it was ready \(69\).*\n?.*roost: The database 127\.0\.0\.1:\d+\/jobs refuses/s
    )
    t.ok(passwordless(said))
  }
)

await t.test('a server that accepts and says nothing is given up in time', async (t) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(
    openPostgresStorage({
      databaseUrl: `postgres://me:hunter2@127.0.0.1:${port}/jobs`,
      dataDir: t.testdir(),
      waits: { connectMs: 200 }
    }),
    { message: new RegExp(`^The database 127\\.0\\.0\\.1:${port}/jobs did not answer within 0\\.2 s`) }
  )
})
