import type { Metrics } from '../../src/contracts/observability.ts'
import type { Stream } from './stream.ts'

/** Readers of logs and how far the slowest of each kind is behind, asked for each scrape. */
export function addStreamMetrics({ gauge }: Metrics, stream: Stream): void {
  gauge({ name: 'roost_stream_readers', help: 'Readers of job logs.', labels: ['kind'] }, (set) => {
    for (const [kind, count] of Object.entries(stream.counts())) set(count, { kind })
  })
  gauge(
    {
      name: 'roost_stream_lag_frames',
      help: 'Frames that the slowest reader has yet to be sent.',
      labels: ['kind']
    },
    async (set) => {
      for (const [kind, { frames }] of Object.entries(await stream.lag())) set(frames, { kind })
    }
  )
  gauge(
    {
      name: 'roost_stream_lag_bytes',
      help: 'Bytes made ready for the slowest reader that it has yet to take.',
      labels: ['kind']
    },
    async (set) => {
      for (const [kind, { bytes }] of Object.entries(await stream.lag())) set(bytes, { kind })
    }
  )
}
