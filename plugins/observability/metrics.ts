import type { FastifyInstance } from 'fastify'
import type {} from 'fastify-metrics'
import type { Counter, Histogram, Labels, MetricOptions, Metrics } from '../../src/contracts/observability.ts'

/** The Prometheus client that fastify-metrics brings. */
type PrometheusClient = FastifyInstance['metrics']['client']

/** Most values of one label of one metric; more would be somebody's names or ids. */
const mostValues = 64
const unlabelled: Labels = {}

/** Metrics in the client's registry whose labels are bounded, whatever is counted. */
export function createMetrics(
  client: PrometheusClient,
  onFault: (error: unknown, metric: string) => void = () => {}
): Metrics {
  return {
    counter(options): Counter {
      const bound = createBound(options)
      const counts = new Map<string, { labels: Labels; value: number }>()
      const [only] = options.labels ?? []
      // Counted here and given to the client when it is asked: its own counting costs five times as much.
      const counter = new client.Counter({
        ...plain(options),
        collect() {
          counter.reset()
          for (const { labels, value } of counts.values()) counter.inc(labels, value)
        }
      })
      if (only === undefined) counts.set('', { labels: unlabelled, value: 0 })
      return {
        add(by = 1, labels = unlabelled) {
          const key = only === undefined ? '' : keyOf(options.labels!, labels)
          const count = counts.get(key)
          if (count !== undefined) {
            count.value += by
            return
          }
          const bounded = bound(labels)
          const boundedKey = keyOf(options.labels!, bounded)
          const known = counts.get(boundedKey)
          if (known === undefined) counts.set(boundedKey, { labels: bounded, value: by })
          else known.value += by
        }
      }
    },

    gauge(options, collect): void {
      const bound = createBound(options)
      const gauge = new client.Gauge({
        ...plain(options),
        async collect() {
          // Not reset: that would tell a zero where nothing is known.
          if (options.labels === undefined) gauge.remove()
          else gauge.reset()
          try {
            await collect((value, labels = unlabelled) => gauge.set(bound(labels), value))
          } catch (error) {
            // One that cannot be told now is left out; the others are told all the same.
            gauge.remove()
            onFault(error, options.name)
          }
        }
      })
    },

    total(options, collect): void {
      const bound = createBound(options)
      const counter = new client.Counter({
        ...plain(options),
        collect() {
          counter.reset()
          collect((value, labels = unlabelled) => counter.inc(bound(labels), value))
        }
      })
    },

    histogram(options): Histogram {
      const bound = createBound(options)
      const histogram = new client.Histogram({ ...plain(options), buckets: [...options.buckets] })
      return { observe: (value, labels = unlabelled) => histogram.observe(bound(labels), value) }
    }
  }
}

const plain = ({ name, help, labels = [] }: MetricOptions) => ({
  name,
  help,
  labelNames: [...labels]
})

const keyOf = (names: readonly string[], labels: Labels): string =>
  names.length === 1 ? (labels[names[0]!] ?? '') : names.map((name) => labels[name] ?? '').join('\n')

/** Replaces a label's value by `other` once the label has had its most values. Throws for a label that was not declared. */
function createBound({ name, labels: names = [] }: MetricOptions): (labels: Labels) => Labels {
  const seen = new Map(names.map((label) => [label, new Set<string>()]))
  return (labels) => {
    if (labels === unlabelled) return labels
    const bounded: Record<string, string> = {}
    for (const [label, value] of Object.entries(labels)) {
      const values = seen.get(label)
      if (values === undefined) throw new Error(`${name} has no label "${label}"`)
      if (values.size < mostValues) values.add(value)
      bounded[label] = values.has(value) ? value : 'other'
    }
    return bounded
  }
}
