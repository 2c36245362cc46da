import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startService } from './start-service.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

export interface FuzzReport {
  /** Requests that were made up and sent. */
  cases: number
  operations: { tested: number; selected: number }
  /** Failures and errors, unique. */
  findings: number
  /** Everything that schemathesis said. */
  output: string
  /** What the service logged as a warning or worse, of its last lines. */
  log: string[]
}

export interface FuzzOptions {
  /** The program, as the kit names it (ROOST_KIT_SCHEMATHESIS). */
  schemathesis: string
  minutes: number
  seed: number
  /** Empty, for its files; default: a temporary one. */
  folder?: string
}

/**
 * Lets schemathesis loose on a service of its own for so long: all checks and phases, the configuration of
 * schemathesis.toml. The jobs that it makes up are accepted and end, but nothing of them runs.
 */
export async function fuzz({ schemathesis, minutes, seed, folder }: FuzzOptions): Promise<FuzzReport> {
  const at = folder ?? mkdtempSync(join(tmpdir(), 'roost-fuzz-'))
  const backups = join(at, 'backups')
  mkdirSync(backups)
  const config = join(at, 'roost.yaml')
  const runtime = join(root, 'test/fixtures/harmless-runtime.ts')
  writeFileSync(
    config,
    `process: off\nplugins: [${JSON.stringify(runtime)}]\ncapacity: { cpu: 64, memory: 64Gi, slots: 200 }\n` +
      // It sends more bad tokens than a guest may.
      'limits: { authFailures: off }\n'
  )
  // Beside its hooks Python would leave what it compiled.
  cpSync(join(root, 'test/fixtures/schemathesis_hooks.py'), join(at, 'schemathesis_hooks.py'))
  const service = await startService({
    flags: ['--config', config, '--log-level', 'warn'],
    // Of a token that the environment gives none can be made anew: the rest of the run would see 401.
    env: { ROOST_TOKEN: 'the-token-of-the-fuzzer' }
  })
  const program = ['--config-file', join(root, 'schemathesis.toml'), '--no-color', 'run']
  const target = [`${service.url}/openapi.json`, '-H', `Authorization: Bearer ${service.token}`]
  const bounds = ['--max-time', String(Math.round(minutes * 60)), '--seed', String(seed)]
  try {
    const child = spawn(schemathesis, [...program, ...target, ...bounds, '--continue-on-failure'], {
      cwd: at,
      env: {
        PATH: process.env['PATH'],
        HOME: at,
        PYTHONPATH: at,
        SCHEMATHESIS_HOOKS: 'schemathesis_hooks',
        ROOST_FUZZ_FOLDER: backups
      },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    await once(child, 'close')
    return { ...figuresOf(output), output: shortened(output), log: service.lines.slice(1) }
  } finally {
    await service.end()
  }
}

function figuresOf(output: string): Pick<FuzzReport, 'cases' | 'operations' | 'findings'> {
  const [, cases] = /(\d+) generated/.exec(output) ?? []
  const [, selected] = /Selected: (\d+)\//.exec(output) ?? []
  const [, tested] = /Tested: (\d+)/.exec(output) ?? []
  const [, failures = '0'] = /(\d+) failures?[,. ]/.exec(output) ?? []
  const [, errors = '0'] = /(\d+) errors?[,. ]/.exec(output) ?? []
  if (cases === undefined) throw new Error(`schemathesis gave no summary:\n${shortened(output).slice(-4000)}`)
  return {
    cases: Number(cases),
    operations: { tested: Number(tested), selected: Number(selected) },
    findings: Number(failures) + Number(errors)
  }
}

/** A body that was made up may be a line of a megabyte. */
const shortened = (output: string): string =>
  output
    .split('\n')
    .map((line) => (line.length > 600 ? `${line.slice(0, 600)}…` : line))
    .join('\n')
