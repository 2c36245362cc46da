import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { ClientConfig } from 'pg'

/** Where a database is and how to speak to it. */
export interface Target {
  config: ClientConfig
  /** `host:port/database`, for messages: never the user or the password. */
  place: string
}

/** In the words of libpq; what it calls `allow` and `prefer` would fall back to plain text without a word. */
const sslModes = ['disable', 'require', 'verify-ca', 'verify-full'] as const
const parameters = ['host', 'options', 'application_name', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']
const defaultPort = 5432

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…`. What is left out comes from libpq's variables
 * (PGUSER, PGPASSWORD, …).
 * @throws Error naming the part that is wrong, never the URL itself: it may hold a password.
 */
export function parseTarget(databaseUrl: string): Target {
  const refuse = (why: string) => new Error(`ROOST_DATABASE_URL ${why}`)
  const url = URL.parse(databaseUrl)
  if (url === null)
    throw refuse('is no URL; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters as %XX')
  for (const name of url.searchParams.keys())
    if (!parameters.includes(name))
      throw refuse(`has the parameter "${name}", which Roost does not know; known: ${parameters.join(', ')}`)
  // A host in the parameters is the folder of a unix socket, which fits into no host name.
  const host = url.searchParams.get('host') ?? url.hostname.replace(/^\[(.*)\]$/, '$1')
  const database = decodeURIComponent(url.pathname.slice(1))
  if (host === '') throw refuse('names no host')
  if (database === '') throw refuse('names no database; write it behind the host: postgres://HOST/DATABASE')
  const port = url.port === '' ? defaultPort : Number(url.port)
  const options = url.searchParams.get('options')
  const config: ClientConfig = {
    host,
    port,
    database,
    ssl: readTls(url.searchParams, refuse),
    application_name: url.searchParams.get('application_name') ?? 'roost',
    ...(url.username === '' ? {} : { user: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(options === null ? {} : { options })
  }
  return { config, place: `${host}:${port}/${database}` }
}

function readTls(search: URLSearchParams, refuse: (why: string) => Error): false | ConnectionOptions {
  const mode = search.get('sslmode') ?? 'disable'
  const isKnown = (sslModes as readonly string[]).includes(mode)
  if (!isKnown) throw refuse(`has sslmode=${mode}; it must be one of ${sslModes.join(', ')}`)
  if (mode === 'disable') return false
  const read = (name: string): string | undefined => {
    const file = search.get(name)
    try {
      return file === null ? undefined : readFileSync(file, 'utf8')
    } catch (error) {
      throw refuse(`names ${name}=${file}, which cannot be read: ${(error as NodeJS.ErrnoException).code}`)
    }
  }
  const [ca, cert, key] = [read('sslrootcert'), read('sslcert'), read('sslkey')]
  if (mode === 'verify-ca' && ca === undefined)
    throw refuse('has sslmode=verify-ca, which needs sslrootcert=FILE')
  return {
    rejectUnauthorized: mode !== 'require',
    // The certificate is checked, the name in it is not.
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key })
  }
}
