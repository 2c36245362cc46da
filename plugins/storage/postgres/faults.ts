import { RoostError } from '../../../src/errors.ts'

/** What a person can do about it, by the first letters of the SQLSTATE or of the error code of the system. */
const remedies = [
  ['53100', 'has no room left', 'Free space on its disk; writes go on by themselves then'],
  ['53300', 'takes no more connections', 'Raise its max_connections or close other clients'],
  ['53', 'lacks resources', 'See the log of the database'],
  ['25006', 'takes no writes', 'It is a standby or set to read only: name the primary in ROOST_DATABASE_URL'],
  ['57014', 'did not finish a statement in time', 'See what else it does: pg_stat_activity, its disk'],
  ['57P03', 'is starting up or shutting down', 'Roost tries again by itself'],
  ['57P', 'ended the connection', 'Roost tries again by itself'],
  ['55P03', 'did not give a lock in time', 'See who holds it: pg_locks'],
  ['40', 'undid a transaction', 'Roost tries again with the next write'],
  ['58', 'met an error of its system', 'See the log of the database and the health of its disk'],
  ['XX', 'met damage or a fault of its own', 'See the log of the database; keep a copy before you repair'],
  ['28', 'refused the user or the password', 'Correct them in ROOST_DATABASE_URL'],
  ['3D000', 'does not exist', 'Make it: createdb'],
  ['42501', 'does not allow this', 'Make the user the owner of the database or of its schema'],
  ['42P01', 'lacks a table', 'Somebody removed it: restore a dump'],
  ['08', 'cut the connection', 'Roost tries again by itself'],
  ['25P03', 'ended the connection, which stood still', 'Roost tries again by itself'],
  ['ECONNREFUSED', 'refuses connections', 'Start it, or correct ROOST_DATABASE_URL'],
  ['ENOTFOUND', 'has a host name that nobody knows', 'Correct ROOST_DATABASE_URL'],
  ['EAI_AGAIN', 'has a host name that cannot be asked for now', 'See the name service of this machine'],
  ['ENOENT', 'has no socket there', 'Start it, or correct ROOST_DATABASE_URL'],
  ['SELF_SIGNED', 'has a certificate that is not trusted', 'Name its authority: sslrootcert=FILE'],
  ['DEPTH_ZERO', 'has a certificate that is not trusted', 'Name its authority: sslrootcert=FILE'],
  ['UNABLE_TO', 'has a certificate that is not trusted', 'Name its authority: sslrootcert=FILE'],
  ['CERT_', 'has a certificate that does not hold', 'Renew it, or correct sslmode and sslrootcert'],
  [
    'ERR_TLS',
    'has a certificate of another name',
    'Name the host as the certificate does, or sslmode=verify-ca'
  ],
  ['ERR_SSL', 'does not speak TLS as expected', 'See its ssl settings, and sslmode'],
  ['E', 'cannot be reached', 'See that it runs and that the network lets Roost through']
] as const

/** An error by which a connection ends, whoever ended it. */
export class ConnectionLost extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options)
    this.name = 'ConnectionLost'
  }
}

/** What keeps a database from being used, in words that follow "The database …". */
export class DatabaseRefused extends Error {
  constructor(why: string) {
    super(why)
    this.name = 'DatabaseRefused'
  }
}

const fieldOf = (error: unknown, field: 'code' | 'severity'): string | null => {
  if (!(error instanceof Error) || !(field in error)) return null
  const value = (error as unknown as Record<string, unknown>)[field]
  return typeof value === 'string' ? value : null
}

/** Whether the session that gave this error is over: what was under way on it has no answer. */
export function endsSession(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true
  const severity = fieldOf(error, 'severity')
  // What is no answer of the server came from the socket.
  return severity === null || severity === 'FATAL' || severity === 'PANIC'
}

/** What happened to the database at `place` and what to do; null where the error is one of a statement. */
export function describeFault(error: unknown, place: string): string | null {
  if (error instanceof DatabaseRefused) return `The database ${place} ${error.message}.`
  const lost = error instanceof ConnectionLost
  const code = fieldOf(lost && error.cause !== undefined ? error.cause : error, 'code')
  const remedy = remedies.find(([prefix]) => code?.startsWith(prefix))
  if (remedy !== undefined) return `The database ${place} ${remedy[1]} (${code}). ${remedy[2]}.`
  if (lost) return `The database ${place} ${error.message}. See that it runs; Roost tries again by itself.`
  if (fieldOf(error, 'severity') !== null && !endsSession(error)) return null
  const words = error instanceof Error ? error.message : String(error)
  return `The database ${place} cannot be used: ${words}. Roost tries again by itself.`
}

/** The error of a statement as who asked for it may see it. */
export function toStatementError(error: unknown): unknown {
  // Bodies with a NUL are refused before; a path or a query may still hold one.
  if (fieldOf(error, 'code') === '22021')
    return new RoostError('invalid', 'A text holds a NUL character, which cannot be stored; remove it', {
      cause: error
    })
  return error
}
