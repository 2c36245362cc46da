import pg from 'pg'
import { ConnectionLost, endsSession } from './faults.ts'

export type Rows = Pick<pg.QueryResult<Record<string, unknown>>, 'rows' | 'rowCount' | 'command'>

/** Statements known to a connection by name; a text beyond these is parsed each time. */
const namedStatements = 300
const names = new Map<string, string>()

/** The server parses and plans a text once for each connection and then knows it by this name. */
export function nameOf(text: string): string | undefined {
  let name = names.get(text)
  if (name === undefined && names.size < namedStatements) names.set(text, (name = `roost${names.size}`))
  return name
}

const int8 = 20
const numeric = 1700

/** 64-bit integers are times, counts and keys below 2^53, and come as numbers in every dialect. */
export const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === int8 || oid === numeric
      ? Number
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser
}

export interface SessionOptions {
  config: pg.ClientConfig
  connectMs: number
  /** A server that owes an answer for so long is given up with the connection: a paused one would hold it for ever. */
  answerMs: number
}

/**
 * One connection whose statements go out as they come, without a wait for the answer of the one before (pipelining).
 * Once lost it stays lost: every statement under way and every later one rejects.
 */
export class PostgresSession {
  readonly #client: pg.Client
  readonly #answerMs: number
  #owed = 0
  #timer: NodeJS.Timeout | null = null
  #lost: ConnectionLost | null = null
  #onLost: ((error: ConnectionLost) => void) | null = null

  private constructor({ config, connectMs, answerMs }: SessionOptions) {
    this.#answerMs = answerMs
    this.#client = new pg.Client({
      ...config,
      types,
      pipeline: true,
      keepAlive: true,
      connectionTimeoutMillis: connectMs
    })
    this.#client.on('error', (error) => this.lose(new ConnectionLost('cut the connection', { cause: error })))
    this.#client.on('end', () => this.lose(new ConnectionLost('ended the connection')))
  }

  /** Throws what the server or the system says. */
  static async open(options: SessionOptions): Promise<PostgresSession> {
    const session = new PostgresSession(options)
    try {
      await session.#client.connect()
    } catch (error) {
      const isLate = error instanceof Error && /timeout expired/.test(error.message)
      throw isLate
        ? new ConnectionLost(`did not answer within ${options.connectMs / 1000} s`, { cause: error })
        : error
    }
    return session
  }

  get lost(): ConnectionLost | null {
    return this.#lost
  }

  /** Called once when the connection is gone; at once where it is already. */
  onLost(listener: (error: ConnectionLost) => void): void {
    if (this.#lost === null) this.#onLost = listener
    else listener(this.#lost)
  }

  /** Gives the connection up. */
  lose(error: ConnectionLost): void {
    if (this.#lost !== null) return
    this.#lost = error
    this.#stopWatch()
    // What is under way rejects with this.
    ;(this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
    this.#onLost?.(error)
  }

  /** Runs one statement. Throws the server's error, or a ConnectionLost. */
  async query(text: string, values?: readonly unknown[]): Promise<Rows> {
    if (this.#lost !== null) throw this.#lost
    this.#watch()
    try {
      return await (values === undefined
        ? this.#client.query(text)
        : this.#client.query({ text, values: [...values], ...named(text) }))
    } catch (error) {
      if (endsSession(error)) this.lose(new ConnectionLost('cut the connection', { cause: error }))
      throw this.#lost ?? error
    } finally {
      this.#owed -= 1
      if (this.#owed === 0) this.#stopWatch()
      else this.#timer?.refresh()
    }
  }

  /** Waits for as long as it takes: for migrations. */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    this.#owed += 1
    this.#stopWatch()
    await this.#client.query('set statement_timeout = 0')
    try {
      return await work()
    } finally {
      this.#owed -= 1
      await this.#client.query('reset statement_timeout')
    }
  }

  async end(): Promise<void> {
    this.#onLost = null
    if (this.#lost !== null) return
    const late = setTimeout(() => this.lose(new ConnectionLost('did not let go')), 1_000)
    await this.#client.end().catch(() => {})
    clearTimeout(late)
  }

  #watch(): void {
    this.#owed += 1
    if (this.#owed > 1) return
    const giveUp = () => this.lose(new ConnectionLost(`has not answered for ${this.#answerMs / 1000} s`))
    if (this.#timer === null) this.#timer = setTimeout(giveUp, this.#answerMs).unref()
    else this.#timer.refresh()
  }

  #stopWatch(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

const named = (text: string): { name?: string } => {
  const name = nameOf(text)
  return name === undefined ? {} : { name }
}
