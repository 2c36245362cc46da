import metrics from 'fastify-metrics'
import fp from 'fastify-plugin'
import type { Tracing } from '../../src/contracts/observability.ts'
import { createMetrics } from './metrics.ts'
import { createRefusals } from './refusals.ts'
import { serveMetrics } from './metrics-server.ts'
import { addProcessMetrics } from './process-metrics.ts'
import { watchTracing } from './watch-tracing.ts'

export interface ObservabilityPluginOptions {
  /** A port of its own for /metrics without a token; null = only on the API's port, with one. */
  metricsPort: number | null
  host: string
  version: string
  /** Spans, where they are switched on. */
  tracing: Tracing | null
}

/** Registered first, so that every concern can count: Prometheus metrics, and spans where they are switched on. */
export default fp<ObservabilityPluginOptions>(
  async (app, { metricsPort, host, version, tracing }) => {
    await app.register(metrics.default, {
      endpoint: null,
      // The client's registry is one for the process; each app begins with an empty one.
      clearRegisterOnInit: true,
      // The client's own metrics of Node break the naming rules and wake an idle process a hundred times a second.
      defaultMetrics: { enabled: false },
      // The summary doubles the cost of each request and says nothing that the histogram does not.
      routeMetrics: { enabled: { histogram: true, summary: false }, registeredRoutesOnly: true }
    })
    const { client } = app.metrics
    // It stays registered, and empty.
    client.register.removeSingleMetric('http_request_summary_seconds')
    const made = createMetrics(client, (error, metric) =>
      app.log.warn({ err: error, metric }, 'a metric could not be told')
    )
    app.decorate('observability', { ...made, tracing, refused: createRefusals(made) })
    if (tracing !== null) watchTracing(tracing, made, app.log)
    const stop = addProcessMetrics(made, version)
    app.addHook('onClose', async () => {
      stop()
      await tracing?.close()
    })

    if (metricsPort !== null) {
      const server = serveMetrics(client.register, app.log)
      app.addHook('onListen', () => server.listen(metricsPort, host))
      app.addHook('onClose', () => server.close())
    }
  },
  { name: 'observability' }
)
