import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { plainNode } from './plain-node.ts'

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
// As the launcher has it: without, half of each start goes into stripping types.
const compileCache = fileURLToPath(new URL('../node_modules/.cache/roost-compile', import.meta.url))

export interface CliEnd {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Cli {
  readonly child: ChildProcessWithoutNullStreams
  /** The bytes that came on stdout so far. */
  stdout(): Buffer
  stderr(): string
  /** Resolves when what came on stdout or stderr fits; rejects where the command ends before. */
  until(fits: (stdout: string, stderr: string) => boolean): Promise<void>
  ended: Promise<CliEnd>
}

export interface CliOptions {
  /** The data directory in which the command finds its service. */
  dataDir?: string
  env?: Record<string, string>
  cwd?: string
  /** What it reads. */
  input?: string
}

/** Starts `roost ARGS` as a child process; nothing of the caller's ROOST_* reaches it. */
export function startCli(args: readonly string[], { dataDir, env = {}, cwd, input }: CliOptions = {}): Cli {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(plainNode.program, [...plainNode.flags, main, ...args], {
    env: {
      PATH,
      HOME,
      NODE_COMPILE_CACHE: compileCache,
      ...(dataDir === undefined ? {} : { ROOST_DATA_DIR: dataDir }),
      ...env
    },
    ...(cwd === undefined ? {} : { cwd })
  })
  const chunks: Buffer[] = []
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.stdin.end(input ?? '')
  const stdout = () => Buffer.concat(chunks)
  const ended = new Promise<CliEnd>((resolve) => {
    child.once('close', (code, signal) =>
      resolve({ code, signal, stdout: stdout().toString('utf8'), stderr: errors })
    )
  })
  return {
    child,
    stdout,
    ended,
    stderr: () => errors,
    async until(fits) {
      await new Promise<void>((resolve, reject) => {
        const look = () => fits(stdout().toString('utf8'), errors) && resolve()
        child.stdout.on('data', look)
        child.stderr.on('data', look)
        child.once('close', () =>
          reject(new Error(`The command ended before: ${stdout().toString('utf8').slice(-500)}\n${errors}`))
        )
        look()
      })
    }
  }
}

/** `roost ARGS` from start to end. */
export const runCli = (args: readonly string[], options: CliOptions = {}): Promise<CliEnd> =>
  startCli(args, options).ended
