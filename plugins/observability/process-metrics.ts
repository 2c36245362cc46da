import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Metrics } from '../../src/contracts/observability.ts'

/** Often enough to see a stall that a client feels, seldom enough to cost nothing while idle. */
const sampleEveryMs = 20

/** What the process itself uses, under the names that Prometheus clients agree on. Returns what ends the measuring. */
export function addProcessMetrics({ gauge, total }: Metrics, version: string): () => void {
  gauge(
    { name: 'roost_build_info', help: 'What runs; always 1.', labels: ['version', 'node_version'] },
    (set) => set(1, { version, node_version: process.version })
  )
  const startedAt = Date.now() / 1000 - process.uptime()
  gauge(
    { name: 'process_start_time_seconds', help: 'When the process began, in seconds of the epoch.' },
    (set) => set(startedAt)
  )
  gauge({ name: 'process_resident_memory_bytes', help: 'Memory that the process holds.' }, (set) =>
    set(process.memoryUsage.rss())
  )
  gauge({ name: 'process_heap_bytes', help: 'Memory of the JavaScript heap.' }, (set) =>
    set(process.memoryUsage().heapUsed)
  )
  gauge({ name: 'process_open_fds', help: 'Open descriptors; none told where there is no /proc.' }, (set) =>
    set(readdirSync('/proc/self/fd').length)
  )
  total({ name: 'process_cpu_seconds_total', help: 'Time on the processors, user and system.' }, (set) => {
    const { user, system } = process.cpuUsage()
    set((user + system) / 1e6)
  })
  const delay = monitorEventLoopDelay({ resolution: sampleEveryMs })
  delay.enable()
  // What is measured is the time between two samples, which is never less than the pause between them.
  const secondsOver = (nanoseconds: number): number =>
    Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - sampleEveryMs / 1000) : 0
  gauge(
    {
      name: 'roost_event_loop_delay_seconds',
      help: 'How late the event loop came to its work since the scrape before.',
      labels: ['statistic']
    },
    (set) => {
      set(secondsOver(delay.mean), { statistic: 'mean' })
      set(secondsOver(delay.percentile(99)), { statistic: 'p99' })
      set(secondsOver(delay.max), { statistic: 'max' })
      delay.reset()
    }
  )
  return () => delay.disable()
}
