import type { Context } from '../context.ts'
import { duration, plain } from '../output.ts'
import { countEntries, type Counts, type Entry } from './entries.ts'
import type { BadLine } from './read.ts'

const failuresShown = 10

export interface Summary extends Counts {
  batch: string
  seconds: number
  /** From start to end, and from acceptance to start; null where no job of the batch ran. */
  ranSeconds: Percentiles | null
  waitedSeconds: Percentiles | null
  /** Lines that --skip-invalid left out; in none of the counts. */
  skipped: readonly BadLine[]
  jobs: {
    line: number
    id: string | null
    name: string | null
    state: Entry['state']
    exitCode: number | null
    message: string | null
    seconds: number | null
  }[]
}
export interface Percentiles {
  p50: number
  p95: number
  max: number
}

export function summarise(
  batch: string,
  entries: readonly Entry[],
  tookMs: number,
  skipped: readonly BadLine[] = []
): Summary {
  const ran: number[] = []
  const waited: number[] = []
  const jobs = entries.map(({ line, id, spec, state, message, end }) => {
    const ranMs = end?.ranMs ?? null
    if (ranMs !== null) ran.push(ranMs)
    if (end?.waitedMs != null) waited.push(end.waitedMs)
    return {
      line,
      id,
      name: spec.name ?? null,
      state,
      exitCode: end?.exitCode ?? null,
      message,
      seconds: ranMs === null ? null : ranMs / 1000
    }
  })
  return {
    batch,
    ...countEntries(entries),
    seconds: tookMs / 1000,
    ranSeconds: percentiles(ran),
    waitedSeconds: percentiles(waited),
    skipped,
    jobs
  }
}

/** Of milliseconds, in seconds. */
function percentiles(values: number[]): Percentiles | null {
  if (values.length === 0) return null
  values.sort((a, b) => a - b)
  const at = (part: number) =>
    values[Math.min(values.length - 1, Math.ceil(values.length * part) - 1)]! / 1000
  return { p50: at(0.5), p95: at(0.95), max: values.at(-1)! / 1000 }
}

/** For people: how many ended how, how long they took, and the first failures with the way to their cause. */
export async function printSummary(
  context: Context,
  summary: Summary,
  entries: readonly Entry[]
): Promise<void> {
  const { paint } = context
  const skipped = summary.skipped.length
  const unfinished = summary.total - summary.succeeded - summary.failed - summary.cancelled
  const parts = [
    paint('green', `${summary.succeeded} succeeded`),
    ...(summary.failed === 0 ? [] : [paint('red', `${summary.failed} failed`)]),
    ...(summary.cancelled === 0 ? [] : [`${summary.cancelled} cancelled`]),
    ...(unfinished === 0 ? [] : [`${unfinished} not ended yet`])
  ]
  await context.print(
    `${summary.total} job${summary.total === 1 ? '' : 's'} in ${duration(summary.seconds * 1000)}: ${parts.join(', ')}${skipped === 0 ? '' : `; ${skipped} line${skipped === 1 ? '' : 's'} left out`}\n`
  )
  const row = (what: string, values: Percentiles | null) =>
    values === null
      ? []
      : [[what, ...[values.p50, values.p95, values.max].map((seconds) => duration(seconds * 1000))]]
  const times = [...row('ran', summary.ranSeconds), ...row('waited', summary.waitedSeconds)]
  if (times.length > 0) await context.printTable(['', 'P50', 'P95', 'MAX'], times)

  const failed = entries.filter(({ state }) => state === 'failed' || state === 'refused' || state === 'gone')
  if (failed.length === 0) return
  await context.print(
    `\nFirst failures${failed.length > failuresShown ? ` (${failuresShown} of ${failed.length})` : ''}\n`
  )
  const rows = failed
    .slice(0, failuresShown)
    .map(({ line, id, spec, end, message }) => [
      String(line),
      plain(spec.name ?? '-'),
      end === null ? '-' : String(end.exit),
      plain(message ?? '-'),
      id === null ? 'not accepted' : `roost logs ${id}`
    ])
  await context.printTable(['LINE', 'NAME', 'EXIT', 'WHY', 'SEE'], rows)
}
