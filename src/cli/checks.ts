import { access, constants, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from './context.ts'
import { dataDirOf } from './connection.ts'
import { CliError, exits } from './exit.ts'
import { loadOrExplain } from './load-config.ts'
import { bytes, duration } from './output.ts'
import { answer, type Session } from './session.ts'
import { version } from '../version.ts'

export interface Check {
  name: string
  state: 'ok' | 'warn' | 'fail'
  message: string
  /** What to do about it. */
  remedy: string | null
}

const check = (
  name: string,
  state: Check['state'],
  message: string,
  remedy: string | null = null
): Check => ({ name, state, message, remedy })

const lowDiskBytes = 2 ** 30
const clockSlackMs = 2_000

/** What can be seen without the service. `configFile` is the roost.yaml that it was started with, where that is told. */
export async function* checkMachine(context: Context, configFile?: string): AsyncGenerator<Check> {
  yield checkNode(process.versions.node)
  const { env, connectionOptions } = context
  let reserve: DiskReserve = { bytes: 0, isKnown: false }
  try {
    const { config, file, sources } = await loadOrExplain(env, {
      config: configFile,
      dataDir: connectionOptions.dataDir
    })
    reserve = {
      bytes: config.diskReserveBytes,
      isKnown: file !== null || sources['diskReserveBytes'] !== undefined
    }
    // The service of this configuration is the one that is looked at.
    connectionOptions.dataDir = config.dataDir
    yield check('configuration', 'ok', file ?? 'defaults and environment')
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    yield check(
      'configuration',
      'fail',
      error.message,
      'Correct what is named; "roost config" shows the rest'
    )
  }
  yield* checkDataDir(dataDirOf(connectionOptions), reserve)
}

export function checkNode(found: string): Check {
  const [major = 0, minor = 0] = found.split('.').map(Number)
  const fits = major >= 24 || (major === 22 && minor >= 19)
  return check(
    'Node',
    fits ? 'ok' : 'fail',
    `v${found}`,
    fits ? null : 'Roost needs 22.19 or newer (not 23); ./roost installs one by itself'
  )
}

async function* checkDataDir(dataDir: string, reserve: DiskReserve): AsyncGenerator<Check> {
  let mode: number
  try {
    const found = await stat(dataDir)
    mode = found.mode & 0o777
    await access(dataDir, constants.W_OK)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT')
      yield check(
        'data directory',
        'fail',
        message,
        `Make ${dataDir} writable for this user, or name another with --data-dir`
      )
    else yield check('data directory', 'ok', `${dataDir} does not exist yet; "roost up" makes it`)
    return
  }
  if ((mode & 0o077) === 0) yield check('data directory', 'ok', dataDir)
  // Roost itself opens it so far for jobs of other users: what is in it stays closed.
  else if ((mode & 0o066) === 0)
    yield check('data directory', 'ok', `${dataDir}, open for passing through (mode ${mode.toString(8)})`)
  else
    yield check(
      'data directory',
      'warn',
      `${dataDir} is open to other users (mode ${mode.toString(8)})`,
      `chmod 700 ${dataDir}`
    )
  const token = await stat(join(dataDir, 'token')).catch(() => null)
  if (token !== null && (token.mode & 0o077) !== 0) {
    yield check(
      'token file',
      'fail',
      `Others can read ${join(dataDir, 'token')} (mode ${(token.mode & 0o777).toString(8)})`,
      `chmod 600 ${join(dataDir, 'token')}`
    )
  }
  const { bavail, bsize } = await statfs(dataDir)
  yield checkDisk(bavail * bsize, dirname(dataDir), reserve)
}

/** diskReserveBytes; `isKnown` where a file or the environment was read, else the service may have another. */
export interface DiskReserve {
  bytes: number
  isKnown: boolean
}

/** Says of a default only that it is one: how the service was started cannot be seen from here. */
export function checkDisk(freeBytes: number, at: string, reserve: DiskReserve): Check {
  const message = `${bytes(freeBytes)} free at ${at}`
  if (freeBytes < reserve.bytes)
    return reserve.isKnown
      ? check(
          'disk',
          'fail',
          message,
          `No attempt starts below ${bytes(reserve.bytes)} (diskReserveBytes); make room`
        )
      : check(
          'disk',
          'warn',
          message,
          `By default no attempt starts below ${bytes(reserve.bytes)} (diskReserveBytes): make room, or name the configuration of the service: roost doctor --config FILE`
        )
  const isLow = freeBytes < lowDiskBytes
  return check('disk', isLow ? 'warn' : 'ok', message, isLow ? 'Make room before jobs are held back' : null)
}

/** What the service says of itself. */
export async function* checkService(context: Context): AsyncGenerator<Check> {
  let session: Session
  try {
    session = await context.session()
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    yield check('service', 'fail', error.message, error.remedy)
    return
  }
  const { client, connection } = session
  const sentAt = Date.now()
  try {
    await answer(client.GET('/livez'))
    const response = await client.GET('/v1/nodes')
    const list = await answer(Promise.resolve(response))
    const node = list.items.find(({ local }) => local)
    if (node?.version === version)
      yield check('service', 'ok', `${connection.url}, ${node.name}, version ${version}`)
    else
      yield check(
        'service',
        'warn',
        `${connection.url} is version ${node?.version ?? 'unknown'}, this command ${version}`,
        'Restart the service after an upgrade; jobs go on meanwhile'
      )
    yield checkClock(response.response.headers.get('date'), sentAt, Date.now())
    yield* checkHealth(session)
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    const state = error.exitCode === exits.forbidden ? 'warn' : 'fail'
    yield check('service', state, `${connection.url}: ${error.message}`, error.remedy)
  }
}

async function* checkHealth({ client }: Session): AsyncGenerator<Check> {
  // A node that is not ready answers 503 with the same body.
  const { data, error } = await client.GET('/readyz', { params: { query: { verbose: true } } })
  const readiness = (data ?? error) as
    | { checks?: { name: string; ok: boolean; message: string | null }[] }
    | undefined
  for (const { name, ok, message } of readiness?.checks ?? []) {
    const remedy =
      name === 'scheduler' ? 'Let it take jobs again: roost undrain' : 'See the log of the service'
    yield check(`ready: ${name}`, ok ? 'ok' : 'fail', message ?? 'ready', ok ? null : remedy)
  }
  const health = await answer(client.GET('/health'))
  if (health.storage !== undefined) yield checkStorage(health.storage)
  for (const reason of health.reasons ?? []) yield check('health', 'warn', reason)
  if (health.node.runtimes.length === 0)
    yield check(
      'runtimes',
      'fail',
      'There is none: no job can start here',
      'Switch one on, such as ROOST_PROCESS=on'
    )
  else yield check('runtimes', 'ok', health.node.runtimes.join(', '))
  if (health.limits !== undefined) {
    const isOff = health.limits.startsWith('none')
    yield check(
      'limits',
      isOff ? 'warn' : 'ok',
      health.limits,
      // Where no process jobs run it says why.
      isOff && health.node.runtimes.includes('process')
        ? 'Jobs run without hard limits; as a service with Delegate=yes they have them: roost install-service'
        : null
    )
  }
  if (health.queue !== undefined && health.queue.depth > 0)
    yield check(
      'queue',
      'ok',
      `${health.queue.depth} waiting, the oldest for ${duration(health.queue.oldestSeconds * 1000)}; why: roost ps`
    )
}

/** What stores the jobs; `message` says why nothing is written. */
export function checkStorage(storage: {
  dialect: string
  writable: boolean
  schemaVersion: number
  bytes: number | null
  message: string | null
}): Check {
  const size = storage.bytes === null ? '' : `, ${bytes(storage.bytes)}`
  const what = `${storage.dialect}, schema ${storage.schemaVersion}${size}`
  if (storage.writable) return check('storage', 'ok', what)
  return check(
    'storage',
    'fail',
    `${what}: ${storage.message ?? 'it takes no writes'}`,
    'It goes on by itself once that is over; see also the log of the service'
  )
}

/** Date has whole seconds, and the answer was made somewhere between the two times. */
export function checkClock(date: string | null, sentAt: number, receivedAt: number): Check {
  const there = date === null ? Number.NaN : Date.parse(date)
  if (Number.isNaN(there)) return check('clock', 'warn', 'The service did not tell its time')
  const off = there + 1_000 < sentAt ? there + 1_000 - sentAt : there > receivedAt ? there - receivedAt : 0
  if (Math.abs(off) <= clockSlackMs) return check('clock', 'ok', 'agrees with the service')
  return check(
    'clock',
    'warn',
    `The service is ${duration(Math.abs(off))} ${off < 0 ? 'behind' : 'ahead'}`,
    'Let both machines keep time by NTP: timedatectl set-ntp true'
  )
}
