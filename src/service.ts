import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { ConfigError, loadConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Tracing } from './contracts/observability.ts'
import { isLoopback } from './loopback.ts'
import { version } from './version.ts'
import { PolicyFileError } from './policy-file.ts'

/** TERM, then KILL after this many seconds, for `--stop-jobs`. */
const stopJobsGraceSeconds = 10

/** Exit codes of the service, as sysexits.h has them: the command line or configuration; the environment. */
const exitUsage = 64
const exitUnavailable = 69

/** Runs the service until a signal: config -> app -> listen -> drain and close. */
export async function serve(argv: readonly string[]): Promise<void> {
  let app: FastifyInstance | undefined
  try {
    const { config } = loadConfig(argv, process.env)
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
    const tracing = await openTracing(config)
    const { createApp } = await import('./app.ts')
    app = await createApp(config, { tracing })
    const serviceFile = createServiceFile(config.dataDir)
    app.addHook('onClose', async () => serviceFile.remove())
    closeOnSignals(app, config.stopJobs)
    reloadOnHangup(app)
    await listenQuietly(app, config)
    const url = urlOf(app, config.host)
    serviceFile.write(url)
    announce(app, config, url)
    app.log.info({ head: await app.audit.head() }, 'the audit; keep its head elsewhere to check it against')
  } catch (error) {
    process.stderr.write(`roost: ${explain(error)}\n`)
    await app?.close().catch(() => {})
    process.exit(
      error instanceof ConfigError || error instanceof PolicyFileError ? exitUsage : exitUnavailable
    )
  }
}

/** Before the app is loaded: what is to be observed has to be seen being loaded. Off, nothing of it is. */
async function openTracing(config: Config): Promise<Tracing | null> {
  if (config.otel === 'off') return null
  const { startTracing } = await import('./tracing.ts')
  return startTracing({ version })
}

/** Fastify logs the address in a line of its own; ours says it, for whoever reads it. */
async function listenQuietly(app: FastifyInstance, config: Config): Promise<void> {
  // What the concerns have to say of their start is heard.
  await app.ready()
  app.log.level = 'error'
  await app.listen({ host: config.host, port: config.port })
  app.log.level = config.logLevel
}

/** The first signal closes in order, jobs go on; a second one leaves at once. */
function closeOnSignals(app: FastifyInstance, stopJobs: boolean): void {
  let closing = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (closing) process.exit(1)
    closing = true
    const running = app.scheduler.status().running
    app.log.info({ signal, running }, 'closing')
    if (process.stdout.isTTY && running > 0 && !stopJobs)
      process.stderr.write(
        `\n${running} job${running === 1 ? ' goes' : 's go'} on without the service; "./roost up" finds ${running === 1 ? 'it' : 'them'} again\n`
      )
    const jobsEnd = stopJobs ? app.scheduler.stopJobs(stopJobsGraceSeconds) : Promise.resolve()
    jobsEnd
      .then(() => app.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          app.log.error({ err: error }, 'closing failed')
          process.exit(1)
        }
      )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/** SIGHUP reads the policies again; on a terminal it says that the terminal is gone, and ends the service as ever. */
function reloadOnHangup(app: FastifyInstance): void {
  if (process.stdout.isTTY || app.policies.status().file === null) return
  process.on('SIGHUP', () => void app.policies.reload())
}

/** service.json: where the command finds this service, also on a port that the system chose. */
function createServiceFile(dataDir: string) {
  const file = join(dataDir, 'service.json')
  const instance = randomUUID()
  return {
    write(url: string): void {
      const temporary = `${file}.${process.pid}`
      writeFileSync(temporary, JSON.stringify({ url, pid: process.pid, bootId: readBootId(), instance }), {
        mode: 0o600
      })
      renameSync(temporary, file)
    },
    remove(): void {
      if (!existsSync(file)) return
      // Only our own: the next service may have written its own already.
      const written = JSON.parse(readFileSync(file, 'utf8')) as { instance?: string }
      if (written.instance === instance) rmSync(file, { force: true })
    }
  }
}

/** The kernel's id of this boot; where there is no /proc (macOS), none. */
function readBootId(): string | null {
  const file = '/proc/sys/kernel/random/boot_id'
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null
}

function urlOf(app: FastifyInstance, host: string): string {
  const { port } = app.server.address() as AddressInfo
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

/** The ready line: for a person on a terminal, else as JSON. */
function announce(app: FastifyInstance, config: Config, url: string): void {
  const { tokenFile } = app.auth
  if (process.stdout.isTTY) {
    process.stdout.write(
      `Roost is ready at ${url}  (API pages: ${url}/docs)\n  token: ${tokenFile ?? 'as given by the environment'}\n  try:   ./roost run -- echo hello\n`
    )
    const { paused, draining } = app.scheduler.status()
    if (paused !== null) process.stdout.write(`  PAUSED, ${paused}\n`)
    else if (draining) process.stdout.write('  DRAINING: it takes no jobs until "./roost undrain"\n')
  } else {
    process.stdout.write(
      `${JSON.stringify({ ready: true, url, host: config.host, port: Number(new URL(url).port), pid: process.pid, node: app.node.id, tokenFile })}\n`
    )
  }
  const processOff = app.runtimes.switchedOff().get('process')
  if (processOff !== undefined && config.process === 'auto') app.log.warn({ host: config.host }, processOff)
  if (!isLoopback(config.host) && app.runtimes.list().length > 0)
    app.log.warn(
      { host: config.host },
      'listening beyond loopback: everybody who has a token and reaches this address can run jobs'
    )
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return `${error.message}; another program has this port: stop it, or give --port N (0 = any free one)`
  if (code === 'EACCES') return `${error.message}; the user who starts Roost may not do that`
  return error.message
}
