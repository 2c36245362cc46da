/*
 * OpenTelemetry, loaded only while ROOST_OTEL is on, and before Fastify: what it observes it has to see being loaded.
 * Where spans go and which are kept is said by the standard variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME,
 * OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, …).
 */
import { hash } from 'node:crypto'
import { register } from 'node:module'
import type { IncomingMessage } from 'node:http'
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Link, Span as OtelSpan, SpanContext } from '@opentelemetry/api'
import { ExportResultCode, type ExportResult } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { FastifyInstrumentation } from '@opentelemetry/instrumentation-fastify'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes
} from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  RandomIdGenerator,
  type IdGenerator,
  type ReadableSpan,
  type SpanExporter
} from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { Span, SpanOptions, Tracing } from './contracts/observability.ts'
import { redact } from './redact.ts'
import { traceContextPattern } from './trace-context.ts'

/** A stop of the service does not wait longer than this for a collector that does not answer. */
const closeWithinMs = 1_000
/** Probes and scrapes come every few seconds and say nothing. */
const untraced = /^\/(livez|readyz|metrics)(\?|$)/

export interface TracingOptions {
  version: string
  /** Where spans go; default: by OTLP to where the standard variables say. */
  exporter?: SpanExporter
}

/** Switches spans on for this process. Call it once, before Fastify is loaded. */
export function startTracing({ version, exporter = new OTLPTraceExporter() }: TracingOptions): Tracing {
  // A loader hook sees ES modules being loaded; without it there would be no spans of Fastify.
  register('@opentelemetry/instrumentation/hook.mjs', import.meta.url, { data: { include: ['fastify'] } })
  // The names of attributes that the standard settled on (http.route, url.path), unless somebody wants the old ones.
  process.env['OTEL_SEMCONV_STABILITY_OPT_IN'] ??= 'http'
  const ids = createIdentities()
  const watched = watchExporter(exporter)
  const processor = new BatchSpanProcessor(watched.exporter)
  const counts = { made: 0, exported: watched.exported }
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'roost', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] })),
    idGenerator: ids,
    spanProcessors: [
      {
        onStart: () => {},
        onEnd(span) {
          counts.made++
          processor.onEnd(span)
        },
        forceFlush: () => processor.forceFlush(),
        shutdown: () => processor.shutdown()
      }
    ]
  })
  provider.register()
  registerInstrumentations({
    tracerProvider: provider,
    instrumentations: [
      new HttpInstrumentation({
        disableOutgoingRequestInstrumentation: true,
        ignoreIncomingRequestHook: ({ url = '' }: IncomingMessage) => untraced.test(url)
      }),
      handlersOnly(new FastifyInstrumentation())
    ]
  })
  const tracer = provider.getTracer('roost', version)

  function span(name: string, options: SpanOptions = {}): Span {
    const { parent, links = [], attributes = {}, at, identity, isServer = false } = options
    ids.next = identity ?? null
    const made = tracer.startSpan(
      name,
      {
        kind: isServer ? SpanKind.SERVER : SpanKind.INTERNAL,
        root: identity !== undefined || parent === null,
        attributes: { ...attributes },
        links: links
          .map(toContext)
          .flatMap((linked): Link[] => (linked === null ? [] : [{ context: linked }])),
        ...(at === undefined ? {} : { startTime: at })
      },
      contextOf(parent)
    )
    ids.next = null
    return wrap(made)
  }

  return {
    span,
    active() {
      const active = trace.getSpan(context.active())
      return active === undefined ? null : toTraceparent(active.spanContext())
    },
    fault(error) {
      const active = trace.getSpan(context.active())
      if (active !== undefined) fail(active, error)
    },
    counts: () => ({ made: counts.made, exported: counts.exported() }),
    onTrouble: watched.onTrouble,
    async close() {
      let timer: NodeJS.Timeout | undefined
      await Promise.race([
        provider.shutdown().catch(() => {}),
        new Promise((resolve) => (timer = setTimeout(resolve, closeWithinMs)))
      ])
      clearTimeout(timer)
    }
  }
}

/** It would make a span of every hook that anybody adds, eight for a request: it is kept from wrapping `addHook`. */
const handlersOnly = (instrumentation: FastifyInstrumentation): FastifyInstrumentation =>
  Object.assign(instrumentation, { _wrapAddHook: () => (addHook: unknown) => addHook })

function wrap(span: OtelSpan): Span {
  return {
    traceparent: toTraceparent(span.spanContext()),
    set: (attributes) => void span.setAttributes({ ...attributes }),
    run: (work) => context.with(trace.setSpan(context.active(), span), work),
    end({ failure, at } = {}) {
      if (failure !== undefined) fail(span, failure)
      span.end(at)
    }
  }
}

function fail(span: OtelSpan, failure: unknown): void {
  if (failure instanceof Error) span.recordException(failure)
  const message =
    failure instanceof Error ? failure.message : typeof failure === 'string' ? failure : 'failed'
  span.setStatus({ code: SpanStatusCode.ERROR, message })
}

const toTraceparent = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`

function toContext(traceparent: string): SpanContext | null {
  if (!traceContextPattern.test(traceparent)) return null
  const [, traceId, spanId, flags] = traceparent.split('-') as [string, string, string, string]
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true }
}

function contextOf(parent: string | null | undefined) {
  const above = parent == null ? null : toContext(parent)
  return above === null ? context.active() : trace.setSpanContext(ROOT_CONTEXT, above)
}

/** Random ids, and for the next span those that follow from `next`: the same ones after a restart. */
function createIdentities(): IdGenerator & { next: string | null } {
  const random = new RandomIdGenerator()
  return {
    next: null,
    generateTraceId() {
      return this.next === null ? random.generateTraceId() : hash('sha256', `trace ${this.next}`).slice(0, 32)
    },
    generateSpanId() {
      return this.next === null ? random.generateSpanId() : hash('sha256', `span ${this.next}`).slice(0, 16)
    }
  }
}

/** The exporter, with secrets taken out of what it gets, and with a word when it begins to fail and when it is well again. */
function watchExporter(exporter: SpanExporter) {
  let exported = 0
  let failing = false
  let listener: (trouble: Error | null) => void = () => {}

  function hear(spans: number, { code, error }: ExportResult): void {
    const failed = code !== ExportResultCode.SUCCESS
    if (!failed) exported += spans
    if (failed === failing) return
    failing = failed
    listener(failed ? (error ?? new Error('The collector took no spans')) : null)
  }

  const watched: SpanExporter = {
    export(spans, done) {
      for (const span of spans) clean(span)
      exporter.export(spans, (result) => {
        hear(spans.length, result)
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush === undefined ? {} : { forceFlush: () => exporter.forceFlush!() })
  }
  return {
    exporter: watched,
    exported: () => exported,
    onTrouble(heard: (trouble: Error | null) => void): void {
      listener = heard
    }
  }
}

/** A span's texts come from requests and errors. */
function clean(span: ReadableSpan): void {
  cleanAttributes(span.attributes)
  for (const event of span.events) if (event.attributes !== undefined) cleanAttributes(event.attributes)
  if (span.status.message !== undefined) span.status.message = redact(span.status.message)
}

function cleanAttributes(attributes: Record<string, unknown>): void {
  // Whatever somebody put into a query string: the route and the path say enough.
  delete attributes['url.query']
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value !== 'string') continue
    attributes[name] = redact(
      /^(http\.url|http\.target|url\.full)$/.test(name) ? value.split('?', 1)[0]! : value
    )
  }
}
