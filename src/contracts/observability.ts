import type {} from 'fastify'

/** Values of a metric's labels: from a list that is known, such as codes and states; never ids, names or paths. */
export type Labels = Readonly<Record<string, string>>

export interface MetricOptions {
  /** `roost_…`, its unit in it (`_seconds`, `_bytes`), a counter's ending in `_total`. */
  name: string
  help: string
  labels?: readonly string[]
}

export interface Counter {
  /** Costs a look-up: fit for the hot path. */
  add(by?: number, labels?: Labels): void
}

export interface Histogram {
  observe(value: number, labels?: Labels): void
}

/**
 * Where a concern makes its metrics. A label takes at most so many values (64); what comes after them is counted as
 * `other`, so that no client can make the metrics grow.
 */
export interface Metrics {
  counter(options: MetricOptions): Counter
  /** `collect` is called for each scrape; it sets what is so now, and costs nothing in between. */
  gauge(
    options: MetricOptions,
    collect: (set: (value: number, labels?: Labels) => void) => void | Promise<void>
  ): void
  /** A counter that is kept elsewhere: `collect` is called for each scrape and tells what it has come to. */
  total(options: MetricOptions, collect: (set: (value: number, labels?: Labels) => void) => void): void
  /** `buckets`: upper bounds, ascending; the last one, infinity, is added. */
  histogram(options: MetricOptions & { buckets: readonly number[] }): Histogram
}

export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface SpanOptions {
  /** A W3C traceparent; null = a trace of its own. Default: the span that is active, such as that of the request. */
  parent?: string | null
  /** Traceparents of what led to this one elsewhere: over the queue, before a restart. */
  links?: readonly string[]
  attributes?: Attributes
  /** Begin, in ms since the epoch. Default: now. */
  at?: number
  /** What is to have the same ids after a restart: an attempt's name. Such a span begins a trace of its own. */
  identity?: string
  /** It answers a client from elsewhere. */
  isServer?: boolean
}

export interface Span {
  /** Its W3C trace context: what is given on to those that come below it. */
  readonly traceparent: string
  set(attributes: Attributes): void
  /** Makes it the active one while `work` runs. */
  run<T>(work: () => T): T
  /**
   * Ends it; with a failure it is marked as failed: what was thrown, or a word for what is no exception of ours.
   * `at` in ms since the epoch, default now.
   */
  end(options?: { failure?: unknown; at?: number }): void
}

/** Spans of this service. Only there while ROOST_OTEL is on. */
export interface Tracing {
  span(name: string, options?: SpanOptions): Span
  /** The traceparent of the span that is active here, or null. */
  active(): string | null
  /** Marks the span that is active here as failed by a fault of ours. */
  fault(error: unknown): void
  /** Spans made so far and spans that the collector took; the difference waits, or is lost. */
  counts(): { made: number; exported: number }
  /** Hears once when the collector takes no spans any more, and once (null) when it does again. */
  onTrouble(listener: (trouble: Error | null) => void): void
  /** Sends what is left, for a second at most. */
  close(): Promise<void>
}

export interface Observability extends Metrics {
  /** Counts a request that was answered with a problem. */
  refused(problem: { code: string; kind: string | undefined }): void
  /** Null unless ROOST_OTEL is on: then nobody makes spans and nothing of OpenTelemetry is loaded. */
  readonly tracing: Tracing | null
}

/** Counts nothing: for a factory that is called without Fastify. */
export const silentMetrics: Metrics = {
  counter: () => ({ add: () => {} }),
  gauge: () => {},
  total: () => {},
  histogram: () => ({ observe: () => {} })
}

declare module 'fastify' {
  interface FastifyInstance {
    observability: Observability
  }
}
