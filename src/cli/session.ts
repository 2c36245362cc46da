import { setTimeout as sleep } from 'node:timers/promises'
import createClient, { type Client } from 'openapi-fetch'
import { version } from '../version.ts'
import type { components, paths } from './api.gen.ts'
import { connect, type Connection, type ConnectionOptions } from './connection.ts'
import { ApiError, Unreachable, type Problem } from './exit.ts'

export type ApiClient = Client<paths>
export type Schemas = components['schemas']
export type Job = Schemas['Job']
export type JobSpec = Schemas['JobSpec']
export type JobState = Schemas['JobState']

/** How long a service that went away is waited for by what follows a job. */
export const giveUpAfterMs = 15 * 60_000

/** The service that a command talks to. It may move: after a restart on another port `refresh` finds it again. */
export interface Session {
  readonly connection: Connection
  readonly client: ApiClient
  refresh(): void
}

export function openSession(options: ConnectionOptions): Session {
  let connection = connect(options)
  let client = open(connection)
  return {
    get connection() {
      return connection
    },
    get client() {
      return client
    },
    refresh() {
      try {
        const found = connect(options)
        if (found.url === connection.url && found.token === connection.token) return
        connection = found
        client = open(found)
      } catch (error) {
        // Not up again yet: the old address is as good as any.
        if (!(error instanceof Unreachable)) throw error
      }
    }
  }
}

const open = ({ url, token }: Connection): ApiClient =>
  createClient<paths>({
    baseUrl: url,
    headers: { authorization: `Bearer ${token}`, 'user-agent': `roost-cli/${version}` }
  })

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** The answer's body. Throws {@link ApiError} where the service refused and {@link Unreachable} where none answered. */
export async function answer<T>(request: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await reach(request)
  // A success without a body (204) has no data, and its type says so.
  if (response.ok) return data as T
  throw toApiError(response.status, error, response.headers.get('retry-after'))
}

async function reach<T>(request: Promise<T>): Promise<T> {
  try {
    return await request
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw error
    throw toUnreachable(error)
  }
}

export function toUnreachable(error: unknown): Unreachable {
  const cause = (
    error instanceof Error && error.cause instanceof Error ? error.cause : error
  ) as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] }
  const code = cause.code ?? cause.errors?.[0]?.code
  const refused = [
    'ECONNREFUSED',
    'ENOTFOUND',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'UND_ERR_CONNECT_TIMEOUT'
  ].includes(code ?? '')
  return new Unreachable(
    refused
      ? `No service answers (${code})`
      : `The connection to the service broke (${code ?? cause.message})`,
    {
      remedy: 'Is it running? On its machine: ./roost up',
      cause: error,
      refused
    }
  )
}

export function toApiError(status: number, body: unknown, retryAfter: string | null): ApiError {
  const isProblem = typeof body === 'object' && body !== null && 'code' in body && 'title' in body
  const problem = isProblem
    ? (body as Problem)
    : {
        type: 'about:blank',
        status,
        code: `http-${status}`,
        title: `The answer was ${status}, and not one of Roost's`,
        detail: `Is there a Roost at that URL? It answered ${status}: ${String(body).slice(0, 200)}`
      }
  const seconds = Number(retryAfter ?? Number.NaN)
  return new ApiError(problem, Number.isFinite(seconds) ? seconds * 1000 : null)
}

export interface RetryOptions {
  signal?: AbortSignal | undefined
  /** Whether a first failure to connect is the end: nobody waits for a service that was never there. */
  mustConnectAtFirst?: boolean
  /** Whether "busy" (429, 503) is waited out too, as long as Retry-After says. */
  waitsOutBusy?: boolean
  onWait?: (error: Unreachable | ApiError, waitMs: number) => void
}

/**
 * Does `work` until it succeeds: lost connections are tried again with backoff and jitter for {@link giveUpAfterMs}.
 * Whatever `work` does must be safe to do twice.
 */
export async function retrying<T>(
  session: Session,
  work: (client: ApiClient) => Promise<T>,
  options: RetryOptions = {}
): Promise<T> {
  const { signal, mustConnectAtFirst = false, waitsOutBusy = false, onWait } = options
  let lostAt: number | null = null
  for (let failures = 0; ; failures++) {
    try {
      return await work(session.client)
    } catch (error) {
      if (signal?.aborted === true) throw error
      if (error instanceof Unreachable) {
        lostAt ??= Date.now()
        if ((mustConnectAtFirst && failures === 0 && error.refused) || Date.now() - lostAt > giveUpAfterMs)
          throw error
      } else if (
        error instanceof ApiError &&
        (error.code === 'idempotency-in-flight' || (waitsOutBusy && error.isBusy))
      ) {
        lostAt = null
      } else {
        throw error
      }
      const waitMs =
        error instanceof ApiError && error.retryAfterMs !== null
          ? error.retryAfterMs * (1 + Math.random() / 4)
          : backoffMs(failures)
      onWait?.(error, waitMs)
      await sleep(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => {
        throw error
      })
      session.refresh()
    }
  }
}

/**
 * 0.1 s, doubling up to 1 s (a restart takes less), and 5 s once it has been away for long. Spread by half, so that many
 * who lost the same service do not come back as one.
 */
export const backoffMs = (failures: number): number =>
  Math.min(failures < 20 ? 1_000 : 5_000, 100 * 2 ** Math.min(failures, 10)) * (0.75 + Math.random() / 2)
