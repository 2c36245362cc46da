import metrics from 'fastify-metrics'
import fp from 'fastify-plugin'
import type {} from '../stream/index.ts'
import type {} from '../scheduler/index.ts'
import type {} from '../capacity/index.ts'

export interface ObservabilityPluginOptions {
  /** A port of its own for /metrics without a token; null = only on the API's port, with one. */
  metricsPort: number | null
  host: string
}

/** Prometheus metrics of the requests and of what Roost is about. Names: roost_*, units in the name. */
export default fp<ObservabilityPluginOptions>(
  async (app, options) => {
    await app.register(metrics.default, {
      endpoint: null,
      // The client's registry is one for the process; each app begins with an empty one.
      clearRegisterOnInit: true,
      defaultMetrics: { enabled: true },
      // The summary doubles the cost of each request and says nothing that the histogram does not.
      routeMetrics: { enabled: { histogram: true, summary: false }, registeredRoutesOnly: true }
    })
    const { client } = app.metrics
    const gauge = (
      name: string,
      help: string,
      collect: (set: (labels: Record<string, string>, value: number) => void) => void,
      labelNames: string[] = []
    ) =>
      new client.Gauge({
        name,
        help,
        labelNames,
        collect() {
          collect((labels, value) => this.set(labels, value))
        }
      })
    gauge('roost_queue_depth', 'Jobs that wait.', (set) => set({}, app.scheduler.status().queued))
    gauge('roost_queue_oldest_seconds', 'Age of the job that waits longest.', (set) =>
      set({}, app.scheduler.status().oldestSeconds)
    )
    gauge('roost_attempts_running', 'Attempts that are not over.', (set) =>
      set({}, app.scheduler.status().running)
    )
    gauge('roost_cpu_requested_cores', 'Cores promised to attempts.', (set) =>
      set({}, app.capacity.snapshot().cpu.requested)
    )
    gauge('roost_memory_requested_bytes', 'Memory promised to attempts.', (set) =>
      set({}, app.capacity.snapshot().memory.requested)
    )
    gauge(
      'roost_stream_readers',
      'Readers of job logs.',
      (set) => {
        for (const [kind, count] of Object.entries(app.stream.counts())) set({ kind }, count)
      },
      ['kind']
    )

    if (options.metricsPort !== null) {
      // Imported here: naming it at the top would load undici with it, a tenth of the start.
      const { createServer } = await import('node:http')
      const server = createServer((request, response) => {
        if (request.url !== '/metrics') return void response.writeHead(404).end()
        client.register.metrics().then(
          (text) => response.writeHead(200, { 'content-type': client.register.contentType }).end(text),
          (error: unknown) => {
            app.log.error({ err: error }, 'the metrics could not be collected')
            response.writeHead(500).end()
          }
        )
      })
      app.addHook('onListen', async () => {
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject)
          server.listen(options.metricsPort!, options.host, resolve)
        })
      })
      app.addHook('onClose', async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      })
    }
  },
  { name: 'observability', dependencies: ['stream', 'scheduler', 'capacity'] }
)
