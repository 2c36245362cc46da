import type { GlobalValues } from './command.ts'
import type { ConnectionOptions } from './connection.ts'
import type { ApiClient, Session } from './session.ts'
import { createPaint, table, write, type Paint } from './output.ts'

/** What a command works with. */
export interface Context {
  env: NodeJS.ProcessEnv
  json: boolean
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
  /** Colours for stdout and for stderr. */
  paint: Paint
  paintError: Paint
  connectionOptions: ConnectionOptions
  /** Finds the service. Throws Unreachable, and with exit code 77 without a token. */
  session(): Promise<Session>
  client(): Promise<ApiClient>
  print(text: string): Promise<void>
  /** For --json: one document, indented for a person on a terminal. */
  printJson(value: unknown): Promise<void>
  printTable(header: readonly string[], rows: readonly (readonly string[])[]): Promise<void>
  /** A line on stderr, from us and not from a job. */
  note(text: string): void
}

export function createContext(
  globals: GlobalValues,
  { env, stdin, stdout, stderr }: NodeJS.Process
): Context {
  const connectionOptions: ConnectionOptions = { env, url: globals.url, dataDir: globals['data-dir'] }
  const paint = createPaint(stdout, env)
  let session: Session | null = null
  const context: Context = {
    env,
    stdin,
    stdout,
    stderr,
    paint,
    connectionOptions,
    json: globals.json === true,
    paintError: createPaint(stderr, env),
    async session() {
      // Loaded when it is needed: help and completion do without.
      return (session ??= (await import('./session.ts')).openSession(connectionOptions))
    },
    client: async () => (await context.session()).client,
    print: (text) => write(stdout, text),
    printJson: (value) => write(stdout, `${JSON.stringify(value, null, stdout.isTTY ? 2 : undefined)}\n`),
    printTable: (header, rows) =>
      write(stdout, table(header, rows, { columns: (stdout.isTTY && stdout.columns) || Infinity, paint })),
    note: (text) => void stderr.write(`${text}\n`)
  }
  return context
}
