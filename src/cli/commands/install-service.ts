import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { defineCommand } from '../command.ts'
import type { Context } from '../context.ts'
import { CliError, exits, UsageError } from '../exit.ts'
import { dataDirOf, readServiceFile } from '../connection.ts'
import { shellLine } from '../output.ts'
import { unitText } from '../systemd-unit.ts'

const runFile = promisify(execFile)
const unitName = 'roost.service'

export const installService = defineCommand({
  usage: '[FLAGS]',
  flags: {
    user: { type: 'boolean', help: 'a unit of this user (default, unless this is root)' },
    system: { type: 'boolean', help: 'a unit of the machine (needs root)' },
    'run-as': {
      type: 'string',
      value: 'USER',
      help: 'with --system: who the service and its jobs run as (default: who called sudo, else root)'
    },
    port: { type: 'string', value: 'N', help: 'for "roost up"' },
    host: { type: 'string', value: 'ADDRESS', help: 'for "roost up"' },
    config: { type: 'string', value: 'FILE', help: 'for "roost up"' },
    'dry-run': { type: 'boolean', help: 'print the unit and what would be done' },
    uninstall: { type: 'boolean', help: 'stop and remove it; jobs that run go on' }
  },
  positionals: [0, 0],
  notes: [
    'A stop or restart leaves jobs running (KillMode=process); they are taken up again. May be called again: it changes what differs.'
  ],
  examples: [
    'roost install-service',
    'sudo ./roost install-service --system',
    'roost install-service --dry-run',
    'roost install-service --uninstall'
  ],
  async run(context, values) {
    if (values.user === true && values.system === true)
      throw new UsageError('Give --user or --system, not both')
    const system = values.system === true || (values.user !== true && process.getuid?.() === 0)
    const dryRun = values['dry-run'] === true
    if (values['run-as'] !== undefined && !system) throw new UsageError('--run-as goes with --system')
    const file = system
      ? `/etc/systemd/system/${unitName}`
      : join(context.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'systemd', 'user', unitName)
    const act = createActs(context, { system, dryRun })
    if (!dryRun) requireSystemd(system)
    if (values.uninstall === true) return await uninstall(act, file)

    const runAs = system ? (values['run-as'] ?? context.env['SUDO_USER'] ?? null) : null
    const dataDir = context.connectionOptions.dataDir ?? context.env['ROOST_DATA_DIR']
    const configFile = values.config ?? context.env['ROOST_CONFIG']
    const text = unitText({
      launcher: fileURLToPath(new URL('../../../roost', import.meta.url)),
      system,
      runAs: runAs === 'root' ? null : runAs,
      flags: [
        ...(values.port === undefined ? [] : ['--port', values.port]),
        ...(values.host === undefined ? [] : ['--host', values.host]),
        ...(configFile === undefined ? [] : ['--config', absolute(configFile)]),
        ...(dataDir === undefined ? [] : ['--data-dir', absolute(dataDir)])
      ],
      // A Node of nvm or of our cache is not on the PATH that systemd gives.
      nodeDir: dirname(process.execPath),
      home: homedir()
    })
    const before = existsSync(file) ? await readFile(file, 'utf8') : null
    const isActive = dryRun ? false : await act.asks('is-active', '--quiet', unitName)
    const byHand = readServiceFile(dataDirOf(context.connectionOptions))
    if (!dryRun && !isActive && byHand !== null) {
      throw new CliError(
        'already-running',
        exits.failed,
        `Roost runs already (process ${byHand.pid}) and was not started by systemd`,
        { remedy: `Stop it with: kill ${byHand.pid}    (its jobs go on), then call this again` }
      )
    }
    if (before === text) act.says(`${file} is as it should be`)
    else await act.writes(file, text)
    if (before !== text) await act.does('daemon-reload')
    await act.does('enable', '--now', unitName)
    if (before !== text && isActive) await act.does('restart', unitName)
    act.says(`Its log: journalctl ${system ? '' : '--user '}-u ${unitName} -f`)
    if (!system) act.says('To run it without a login, from boot on: loginctl enable-linger')
    if (system && (runAs === null || runAs === 'root'))
      act.says('It runs as root, and so do its process jobs; --run-as USER names another')
  }
})

const absolute = (path: string): string => (path.startsWith('/') ? path : join(process.cwd(), path))

function requireSystemd(system: boolean): void {
  if (process.platform === 'linux' && existsSync('/run/systemd/system')) {
    if (system && process.getuid?.() !== 0)
      throw new CliError('not-root', exits.forbidden, 'A unit of the machine needs root', {
        remedy: 'Call it with sudo, or take --user'
      })
    return
  }
  throw new CliError('no-systemd', exits.failed, 'systemd does not run here', {
    remedy:
      'Run "./roost up" under what starts programs here (an init script, launchd, the entry point of a container); by hand: nohup ./roost up >roost.log 2>&1 &'
  })
}

function createActs({ note, stdout }: Context, { system, dryRun }: { system: boolean; dryRun: boolean }) {
  const scope = system ? [] : ['--user']
  const systemctl = (args: readonly string[]) => runFile('systemctl', [...scope, ...args])
  return {
    says: note,
    /** Whether systemctl answers yes. */
    asks: (...args: string[]) =>
      systemctl(args).then(
        () => true,
        () => false
      ),
    async does(...args: string[]): Promise<void> {
      note(`${dryRun ? 'would run: ' : ''}${shellLine(['systemctl', ...scope, ...args])}`)
      if (dryRun) return
      await systemctl(args).catch((error: Error & { stderr?: string }) => {
        throw new CliError(
          'systemctl',
          exits.failed,
          `systemctl ${args[0]} failed: ${error.stderr?.trim() || error.message}`,
          {
            remedy: system
              ? null
              : 'A user without a session of systemd (su, some containers) needs: loginctl enable-linger USER'
          }
        )
      })
    },
    async writes(file: string, text: string): Promise<void> {
      note(`${dryRun ? 'would write: ' : 'write '}${file}`)
      if (dryRun) return void stdout.write(text)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
    },
    async removes(file: string): Promise<void> {
      note(`${dryRun ? 'would remove: ' : 'remove '}${file}`)
      if (!dryRun) await rm(file)
    }
  }
}

async function uninstall(act: ReturnType<typeof createActs>, file: string): Promise<void> {
  if (!existsSync(file)) return act.says(`${file} is not there; nothing to do`)
  await act.does('disable', '--now', unitName)
  await act.removes(file)
  await act.does('daemon-reload')
  act.says('Its jobs and its data directory are left as they are.')
}
