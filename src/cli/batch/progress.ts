import type { Context } from '../context.ts'
import { Unreachable } from '../exit.ts'
import { createLossNotes } from '../loss-notes.ts'
import { cut, duration, plain } from '../output.ts'
import { finishedOf, type Counts } from './entries.ts'

/** The rate is that of this long. */
const windowMs = 15_000
const redrawMs = 150
/** Where stderr is no terminal, a line at most this often. */
const lineMs = 5_000
const maxBar = 24

const grouped = (count: number): string => count.toLocaleString('en-US')

/** Finished jobs over time, for the rate of the last seconds. */
export function createRate() {
  const samples: { at: number; finished: number }[] = []
  return {
    /** Jobs a second; null before there is anything to say. */
    add(at: number, finished: number): number | null {
      samples.push({ at, finished })
      while (samples.length > 2 && at - samples[1]!.at >= windowMs) samples.shift()
      const first = samples[0]!
      return at - first.at < 500 ? null : ((finished - first.finished) * 1000) / (at - first.at)
    }
  }
}

/** A bar of what there is room for in `columns` (0 = none). */
export function barText(counts: Counts, columns: number): string {
  const wide = Math.min(maxBar, columns)
  if (wide < 4) return ''
  const filled = counts.total === 0 ? wide : Math.floor((finishedOf(counts) / counts.total) * wide)
  return `${'█'.repeat(filled)}${'░'.repeat(wide - filled)}  `
}

/** `512/10,000 done  12 failed  96 running  9,392 queued  312/s  30s left`. */
export function progressText(counts: Counts, rate: number | null): string {
  const finished = finishedOf(counts)
  const left = counts.total - finished
  return [
    `${grouped(finished)}/${grouped(counts.total)} done`,
    ...(counts.failed > 0 ? [`${grouped(counts.failed)} failed`] : []),
    ...(counts.cancelled > 0 ? [`${grouped(counts.cancelled)} cancelled`] : []),
    `${grouped(counts.running)} running`,
    `${grouped(counts.queued)} queued`,
    ...(counts.unsent > 0 ? [`${grouped(counts.unsent)} to send`] : []),
    ...(rate === null ? [] : [`${rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate)}/s`]),
    ...(rate === null || rate <= 0 || left === 0
      ? []
      : [`${duration(Math.max(1_000, (left / rate) * 1000))} left`])
  ].join('  ')
}

export type Progress = ReturnType<typeof createProgress>

/** Draws how far a batch is: one line in place on a terminal, else a line now and then. */
export function createProgress({ stderr, json, note }: Context, count: () => Counts) {
  const rate = createRate()
  let trouble: string | null = null
  let drawn = false
  let last = ''
  const live = stderr.isTTY
  function draw(): void {
    const counts = count()
    const text =
      progressText(counts, rate.add(Date.now(), finishedOf(counts))) +
      (trouble === null ? '' : `  (${plain(trouble)})`)
    if (live) {
      drawn = true
      const columns = (stderr.columns || 80) - 1
      stderr.write(`\r\x1b[2K${cut(`${barText(counts, columns - text.length - 2)}${text}`, columns)}`)
    } else if (text !== last) {
      stderr.write(`roost: ${text}\n`)
    }
    last = text
  }
  // A program that reads JSON and no terminal wants no chatter.
  const timer = json && !live ? null : setInterval(draw, live ? redrawMs : lineMs)
  // Elsewhere the progress tells it.
  const loss = timer === null ? createLossNotes((text) => note(`roost: ${text}`)) : null
  return {
    /** Why it does not go on just now. */
    stuck(error: Error): void {
      const isLost = error instanceof Unreachable
      if (isLost) loss?.lost(plain(error.message))
      trouble = isLost ? `${error.message}; waiting for it to come back` : error.message
    },
    goesOn(): void {
      loss?.back()
      trouble = null
    },
    stop(): void {
      if (timer !== null) clearInterval(timer)
      if (live && drawn) stderr.write('\r\x1b[2K')
      drawn = false
    }
  }
}
