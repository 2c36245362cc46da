import { existsSync, readFileSync, statSync } from 'node:fs'

/** A process by pid and start time (field 22 of /proc/PID/stat): a pid alone may have a new owner. */
export interface ProcessMark {
  pid: number
  start: string
}

export const streams = ['stdout', 'stderr'] as const
export type Stream = (typeof streams)[number]

export interface AttemptEnd {
  code: number
  /** The shell said that a signal ended it. */
  signalled: boolean
  cause: 'deadline' | 'stopped' | null
  /** Streams that the shim itself took from the pipes at the end; null where collectors write them. */
  drained: readonly Stream[] | null
}

/** Where an attempt's files are; each name is followed by its kind. */
export interface AttemptPlace {
  /** The job's own folder; `.state`, `.cause` and so on lie beside it. */
  folder: string
  /** Followed by `.stdout` and `.stderr`. */
  output: string
}

/** What the shim wrote about its attempt, as far as it is complete. */
export interface AttemptFacts {
  boot: string | null
  shim: ProcessMark | null
  job: ProcessMark | null
  failed: string | null
  collectors: Partial<Record<Stream, ProcessMark>>
  /** Bytes that a collector dropped; present once it has ended. */
  ended: Partial<Record<Stream, number>>
  end: AttemptEnd | null
}

/** The shim's `state` file, or null where no shim ever took the attempt. */
export function readFacts(folder: string): AttemptFacts | null {
  // A thrown ENOENT costs more than the question, and at a start the answer is nearly always no.
  if (!existsSync(`${folder}.state`)) return null
  let text: string
  try {
    text = readFileSync(`${folder}.state`, 'utf8')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
  const facts: AttemptFacts = {
    boot: null,
    shim: null,
    job: null,
    failed: null,
    collectors: {},
    ended: {},
    end: null
  }
  const lines = text.split('\n')
  lines.pop() // A line counts when its newline is there.
  for (const line of lines) {
    const [word, a = '', b = '', c = '', d = ''] = line.split(' ')
    if (word === 'shim') [facts.boot, facts.shim] = [a, { pid: Number(b), start: c }]
    else if (word === 'job') facts.job = { pid: Number(a), start: b }
    else if (word === 'fail') facts.failed = a
    else if (word === 'collector' && isStream(a)) facts.collectors[a] = { pid: Number(b), start: c }
    else if (word === 'end' && isStream(a)) facts.ended[a] = Number(b)
    else if (word === 'exit') facts.end = parseEnd([a, b, c, d])
  }
  return facts
}

/** The members of an `exit` line, which the shim also tells over the notify pipe. */
export function parseEnd([
  code = '',
  signalled = '',
  cause = '',
  drained = ''
]: readonly string[]): AttemptEnd {
  return {
    code: Number(code),
    signalled: signalled === '1',
    cause: cause === 'deadline' || cause === 'stopped' ? cause : null,
    drained: drained === 'no' ? null : streams.filter((stream) => drained.includes(stream))
  }
}

/**
 * The start time of a process in clock ticks since boot, or null where there is none. A zombie counts as there. Throws
 * where that cannot be told now (no descriptor is free).
 */
export const startOf = (pid: number): string | null => statOf(pid)?.start ?? null

/** False also for a zombie: it does nothing any more. Throws where it cannot be told now: that is no death. */
export function isAlive(mark: ProcessMark): boolean {
  const stat = statOf(mark.pid)
  return stat !== null && stat.start === mark.start && stat.state !== 'Z' && stat.state !== 'X'
}

function statOf(pid: number): { state: string; start: string } | null {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
  // The name in parentheses may hold anything, so the fields are counted from its end.
  const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state, start: fields[18] ?? '' }
}

/** Signals the process group that `mark` leads, or the process alone before it leads one. False where it is gone; throws as `startOf`. */
export function signalGroup(mark: ProcessMark, signal: NodeJS.Signals): boolean {
  // A leader that is a zombie still keeps its number for the group.
  if (startOf(mark.pid) !== mark.start) return false
  return send(-mark.pid, signal) || send(mark.pid, signal)
}

export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

export const readBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

export const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

/** No such file, or a process that went while it was read. */
export const isMissing = (error: unknown): boolean => ['ENOENT', 'ESRCH'].includes(codeOf(error))

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const isStream = (word: string): word is Stream => word === 'stdout' || word === 'stderr'
