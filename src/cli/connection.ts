import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { CliError, exits, Unreachable, UsageError } from './exit.ts'

/** Which service the command talks to, and as whom. */
export interface Connection {
  /** Without a slash at its end. */
  url: string
  token: string
  /** Whether the service runs on this machine, so that it sees the same files. */
  isLocal: boolean
}

export interface ConnectionOptions {
  env: NodeJS.ProcessEnv
  /** --url. */
  url?: string | undefined
  /** --data-dir. */
  dataDir?: string | undefined
}

export interface ServiceFile {
  url: string
  pid: number
  bootId: string
}

/** `--data-dir`, ROOST_DATA_DIR, `$XDG_DATA_HOME/roost`, `~/.local/share/roost`: as the service looks for it. */
export function dataDirOf({ env, dataDir }: ConnectionOptions): string {
  const given = dataDir ?? env['ROOST_DATA_DIR']
  return given ? resolve(given) : join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'roost')
}

/**
 * Finds the service: `--url`, ROOST_URL, else service.json of the data directory. Throws {@link Unreachable} where
 * none runs, a {@link UsageError} for a URL that is none, and with exit code 77 where no token is to be found.
 */
export function connect(options: ConnectionOptions): Connection {
  const given = options.url ?? options.env['ROOST_URL']
  const dataDir = dataDirOf(options)
  if (given) {
    const url = parseUrl(given, options.url === undefined ? 'ROOST_URL' : '--url')
    const isLocal = isLoopback(url.hostname)
    // The local token goes to this machine only: whoever else the URL names must not learn it.
    return {
      url: url.href.replace(/\/+$/, ''),
      token: readToken(options.env, isLocal ? dataDir : null),
      isLocal
    }
  }
  const service = readServiceFile(dataDir)
  if (service === null) {
    throw new Unreachable(`Roost is not running (data directory ${dataDir})`, {
      remedy: 'Start it with: ./roost up',
      refused: true
    })
  }
  return { url: service.url, token: readToken(options.env, dataDir), isLocal: true }
}

/** What the running service wrote about itself; null where there is none, or it is what a dead one left behind. */
export function readServiceFile(dataDir: string): ServiceFile | null {
  let service: ServiceFile
  try {
    service = JSON.parse(readFileSync(join(dataDir, 'service.json'), 'utf8')) as ServiceFile
  } catch {
    return null
  }
  // Another program may have its port by now: it must not be sent the token.
  return service.bootId === (bootId() ?? service.bootId) && isAlive(service.pid) ? service : null
}

/** ROOST_TOKEN, ROOST_TOKEN_FILE, else the local token of the data directory (null = not to be used). */
export function readToken(env: NodeJS.ProcessEnv, dataDir: string | null): string {
  if (env['ROOST_TOKEN']) return env['ROOST_TOKEN'].trim()
  const given = env['ROOST_TOKEN_FILE']
  const file = given || (dataDir === null ? null : join(dataDir, 'token'))
  const remedy =
    'Give one in ROOST_TOKEN or ROOST_TOKEN_FILE; on the machine of the service, "roost token" prints one.'
  if (file === null)
    throw new CliError(
      'unauthorized',
      exits.forbidden,
      'A token is needed for a service on another machine',
      { remedy }
    )
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = given
      ? message
      : code === 'ENOENT'
        ? `${file} does not exist (the service may have been given its token by its environment)`
        : message
    throw new CliError('unauthorized', exits.forbidden, `No token: ${why}`, { remedy, cause: error })
  }
}

function parseUrl(text: string, source: string): URL {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(
      `${source} must be an http or https URL, such as http://127.0.0.1:7070; got ${JSON.stringify(text)}`
    )
  }
  return url
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
