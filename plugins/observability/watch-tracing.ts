import type { FastifyBaseLogger } from 'fastify'
import type { Metrics, Tracing } from '../../src/contracts/observability.ts'

/** Tells how spans get away: by metrics, and in the log once when the collector is gone and once when it is back. */
export function watchTracing(tracing: Tracing, { total }: Metrics, log: FastifyBaseLogger): void {
  total({ name: 'roost_trace_spans_total', help: 'Spans that ended.' }, (set) => set(tracing.counts().made))
  total({ name: 'roost_trace_spans_exported_total', help: 'Spans that the collector took.' }, (set) =>
    set(tracing.counts().exported)
  )
  tracing.onTrouble((trouble) => {
    if (trouble === null) log.info('the collector takes spans again')
    else
      log.warn(
        { err: trouble },
        'the collector takes no spans; those that find no room are dropped, and this is said once until it is back'
      )
  })
}
