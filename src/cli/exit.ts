import type { components } from './api.gen.ts'
import { duration } from './output.ts'

export type Problem = components['schemas']['Problem']
type Job = components['schemas']['Job']

/** Exit codes of the command besides a job's own; docs/cli.md lists them. 64, 69 and 77 as sysexits.h has them. */
export const exits = {
  ok: 0,
  failed: 1,
  usage: 64,
  unreachable: 69,
  forbidden: 77,
  timedOut: 124,
  detached: 130,
  brokenPipe: 141
} as const

/** An end that main prints and turns into its exit code. */
export class CliError extends Error {
  readonly exitCode: number
  /** What to do about it, on a line of its own. */
  readonly remedy: string | null
  readonly code: string

  constructor(
    code: string,
    exitCode: number,
    message: string,
    { remedy = null, cause }: { remedy?: string | null; cause?: unknown } = {}
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CliError'
    this.code = code
    this.exitCode = exitCode
    this.remedy = remedy
  }

  /** The same as a problem document, for --json. */
  toProblem(): object {
    return {
      type: `/docs/errors#${this.code}`,
      title: this.message,
      code: this.code,
      ...(this.remedy === null ? {} : { detail: this.remedy })
    }
  }
}

/** The command line cannot be understood. */
export class UsageError extends CliError {
  constructor(message: string, remedy: string | null = null) {
    super('usage', exits.usage, message, { remedy })
    this.name = 'UsageError'
  }
}

/** No service answers. `refused`: surely nothing was received; else it may have been, and only the answer was lost. */
export class Unreachable extends CliError {
  readonly refused: boolean

  constructor(
    message: string,
    {
      remedy = null,
      cause,
      refused = false
    }: { remedy?: string | null; cause?: unknown; refused?: boolean } = {}
  ) {
    super('unreachable', exits.unreachable, message, { remedy, cause })
    this.name = 'Unreachable'
    this.refused = refused
  }
}

/** The service refused, and said why. */
export class ApiError extends CliError {
  readonly problem: Problem
  /** Of Retry-After; null where the answer had none. */
  readonly retryAfterMs: number | null

  constructor(problem: Problem, retryAfterMs: number | null = null) {
    super(problem.code, exitOfStatus(problem.status), problem.detail ?? problem.title, {
      remedy: remedyOf(problem) ?? (retryAfterMs === null ? null : `Try again in ${duration(retryAfterMs)}.`)
    })
    this.name = 'ApiError'
    this.problem = problem
    this.retryAfterMs = retryAfterMs
  }

  /** Whether the same request may succeed a little later. */
  get isBusy(): boolean {
    return this.problem.status === 429 || this.problem.status === 503
  }

  override toProblem(): object {
    return this.problem
  }
}

function exitOfStatus(status: number): number {
  if (status === 401 || status === 403) return exits.forbidden
  if (status === 400 || status === 422) return exits.usage
  return status === 429 || status === 503 ? exits.unreachable : exits.failed
}

function remedyOf({ status, code }: Problem): string | null {
  if (status === 401)
    return 'Give a token of this service in ROOST_TOKEN or ROOST_TOKEN_FILE; on its own machine, its user needs none.'
  return code === 'forbidden'
    ? 'A token with that scope is made with: roost token create --scope SCOPE'
    : null
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25
}

/**
 * The exit code that stands for a finished job: its own; 128 + n where a signal ended it; 124 where its time ran out
 * (as timeout(1) has it); 130 where it was cancelled; 1 where it failed without any of these.
 */
export function exitOfJob({
  state,
  reason,
  result,
  attempts
}: Pick<Job, 'state' | 'reason' | 'result' | 'attempts'>): number {
  if (state === 'succeeded') return exits.ok
  if (state === 'cancelled') return exits.detached
  if (reason === 'timeout') return exits.timedOut
  const code = result?.exitCode ?? null
  // A program that was stopped may exit with 0; its job has failed all the same.
  if (code !== null && code !== 0) return code
  const last = attempts.at(-1)
  const signal = code === null ? signalNumbers[last?.signal ?? ''] : undefined
  return signal === undefined ? exits.failed : 128 + signal
}
