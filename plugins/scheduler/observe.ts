import type { Observability } from '../../src/contracts/observability.ts'
import { silentMetrics } from '../../src/contracts/observability.ts'
import type { AttemptRecord, JobRecord } from '../../src/domain/job-state.ts'
import type { FrameBody } from '../../src/schemas/frame.ts'
import { createTraces } from './traces.ts'

/** From a free machine (milliseconds) to a long queue (hours). */
const startBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200]
const firstLogBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Counts what happens to jobs, each thing once its commit is on disk. */
export function createObserver({
  counter,
  histogram,
  tracing
}: Pick<Observability, 'counter' | 'histogram' | 'tracing'> = silent) {
  const counted = (name: string, help: string, ...labels: string[]) => counter({ name, help, labels })
  const accepted = counted('roost_jobs_accepted_total', 'Jobs accepted.')
  const finished = counted('roost_jobs_finished_total', 'Jobs that ended, by their last state.', 'state')
  const placements = counted(
    'roost_placements_total',
    'Attempts that got a node, by the runtime they went to.',
    'runtime'
  )
  const waits = counted(
    'roost_job_waits_total',
    'Reasons told to jobs that waited a second or longer: one job may be told several.',
    'reason'
  )
  const attempts = counted(
    'roost_attempts_total',
    'Attempts that ended, by runtime and outcome.',
    'runtime',
    'outcome'
  )
  const toStart = histogram({
    name: 'roost_job_schedule_to_start_seconds',
    help: 'From the acceptance of a job to the start of its first attempt.',
    buckets: startBuckets
  })
  const toFirstLog = histogram({
    name: 'roost_attempt_start_to_first_log_seconds',
    help: 'From the start of an attempt to the first thing it printed.',
    buckets: firstLogBuckets
  })
  const frames = counted(
    'roost_frames_appended_total',
    'Frames appended to the logs of jobs, by type.',
    'type'
  )
  const output = counted('roost_output_bytes_total', 'Bytes that jobs printed and that are kept.', 'stream')
  const dropped = counted(
    'roost_output_dropped_bytes_total',
    'Bytes that jobs printed beyond the cap of their log.',
    'stream'
  )

  return {
    traces: createTraces(tracing),
    accepted: () => accepted.add(),
    finished: (job: JobRecord) => finished.add(1, { state: job.state }),
    placed: (attempt: AttemptRecord) => placements.add(1, { runtime: attempt.runtime }),
    waits: (reason: string) => waits.add(1, { reason }),
    started(job: JobRecord, attempt: AttemptRecord): void {
      if (attempt.number === 1) toStart.observe(Math.max(0, attempt.startedAt! - job.createdAt) / 1000)
    },
    /** The first output of an attempt that was seen to start at `startedAt`, ms since the epoch. */
    firstOutput: (startedAt: number, at: number) => toFirstLog.observe(Math.max(0, at - startedAt) / 1000),
    ended: (attempt: AttemptRecord) => attempts.add(1, { runtime: attempt.runtime, outcome: attempt.state }),
    appended(bodies: readonly FrameBody[]): void {
      for (const { type } of bodies) frames.add(1, { type })
    },
    printed(stream: string, bytes: number): void {
      frames.add(1, { type: 'log' })
      output.add(bytes, { stream })
    },
    dropped(stream: string, bytes: number): void {
      frames.add(1, { type: 'log' })
      dropped.add(bytes, { stream })
    }
  }
}

const silent = { ...silentMetrics, tracing: null }

export type Observer = ReturnType<typeof createObserver>
