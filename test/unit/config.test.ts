import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError, loadConfig, maskConfig } from '../../src/config/load.ts'

const problemsOf = (argv: string[], env: NodeJS.ProcessEnv): string => {
  try {
    loadConfig(argv, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
  }
  return ''
}

await t.test('defaults < file < environment < flags', (t) => {
  const file = join(t.testdir(), 'roost.yaml')
  writeFileSync(file, 'host: 127.0.0.2\nport: 1\nlogLevel: warn\nnode: {labels: {zone: a}}\n')
  const { config, sources } = loadConfig(['--port', '3'], {
    ROOST_CONFIG: file,
    ROOST_PORT: '2',
    ROOST_LOG_LEVEL: 'error'
  })
  t.match(config, {
    host: '127.0.0.2',
    port: 3,
    logLevel: 'error',
    process: 'auto',
    node: { labels: { zone: 'a' } }
  })
  t.match(sources, { host: file, port: '--port', logLevel: 'ROOST_LOG_LEVEL' })
  t.end()
})

await t.test('what is wrong is named, with where it came from and what would be right', (t) => {
  const file = join(t.testdir(), 'roost.yaml')
  writeFileSync(file, 'prot: 1\ncapacity: {cpus: 2}\n')
  const text = problemsOf(['--config', file, '--hots=x'], {
    ROOST_PORT: 'many',
    ROOST_DATADIR: '/x',
    ROOST_PROCESS: 'maybe',
    ROOST_RATE_LIMIT: '5'
  })
  for (const says of [
    /prot .*did you mean "port"/,
    /capacity\.cpus/,
    /--hots .*did you mean --host/,
    /port \(ROOST_PORT\) must be integer; got "many"/,
    /ROOST_DATADIR .*did you mean ROOST_DATA_DIR/,
    /process \(ROOST_PROCESS\).*"on", "off", "auto"/,
    /rateLimit \(ROOST_RATE_LIMIT\)/
  ])
    t.match(text, says)
  t.end()
})

await t.test('secrets come from files, are never in a message and are masked', (t) => {
  const file = join(t.testdir(), 'token')
  writeFileSync(file, 'a-very-secret-token-1234\n')
  const { config } = loadConfig([], { ROOST_TOKEN_FILE: file })
  t.equal(config.token, 'a-very-secret-token-1234')
  t.equal(JSON.stringify(maskConfig(config)).includes('secret-token'), false)
  const short = problemsOf([], { ROOST_TOKEN: 'short-secret' })
  t.match(short, /16 to 512/)
  t.equal(short.includes('short-secret'), false)
  const refused = problemsOf([], { ROOST_DATABASE_URL: 'mysql://me:hunter2@db/x' })
  t.match(refused, /databaseUrl \(ROOST_DATABASE_URL\) must match .*postgres/)
  t.equal(refused.includes('hunter2'), false)
  t.end()
})

await t.test('a database URL is shown without its password', (t) => {
  const shown = (databaseUrl: string) =>
    maskConfig(loadConfig([], { ROOST_DATABASE_URL: databaseUrl }).config).databaseUrl
  t.equal(
    shown('postgres://me:hunter2@db:5433/x?sslmode=require'),
    'postgres://me:********@db:5433/x?sslmode=require'
  )
  t.equal(shown('postgresql://db/x'), 'postgresql://db/x')
  t.equal(shown('postgres://me:hunter2'), '********', 'no URL: it may stand anywhere')
  t.end()
})

await t.test('variables that others read are no fault', (t) => {
  t.equal(
    problemsOf([], {
      ROOST_URL: 'http://x',
      ROOST_SECRET_DB: 'y',
      ROOST_JOB_ID: 'z',
      ROOST_CACHE_DIR: '/c',
      ROOST_OLLAMA_URL: 'http://o'
    }),
    ''
  )
  t.end()
})
