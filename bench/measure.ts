import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

/** The value below which the fraction `q` of the values lies. Throws where there are none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]
  if (value === undefined) throw new Error('No values, so no quantile')
  return value
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** Runs A, B, A, B, … so that a machine that gets slower or busier meanwhile does so for both. */
export async function alternate<A, B>(
  rounds: number,
  a: (round: number) => Promise<A>,
  b: (round: number) => Promise<B>
): Promise<{ a: A[]; b: B[] }> {
  const results: { a: A[]; b: B[] } = { a: [], b: [] }
  for (let round = 0; round < rounds; round++) {
    results.a.push(await a(round))
    results.b.push(await b(round))
  }
  return results
}

/** What the figures were measured on. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU'
  const gib = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} cores (${model}), ${gib} GiB, Linux ${release()}, Node ${process.version}`
}

/** Work of others on the machine before a bench began; its figures are rough above a quarter of the cores. */
export const describeLoad = (): string => `load average ${(loadavg()[0] ?? 0).toFixed(2)} when it began`

/** Bytes that the process holds in memory now. */
export function rssBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kib === undefined) throw new Error(`Process ${pid} tells no VmRSS`)
  return Number(kib) * 1024
}

/** CPU seconds, user and system, that the process has used. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Polls until `read` gives a value that is not null. Rejects after `timeoutMs`, naming what was waited for. */
export async function waitFor<T>(
  what: string,
  read: () => Promise<T | null>,
  { everyMs = 20, timeoutMs = 120_000 } = {}
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await read()
    if (value !== null) return value
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`)
    await pause(everyMs)
  }
}

/** Benchmarks may wait on the clock; tests may not. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
