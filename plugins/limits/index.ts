import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type {} from '../auth/index.ts'
import { networkOf } from '../../src/addresses.ts'
import { RoostError } from '../../src/errors.ts'
import { rateLimited, rateLimitHeaders, type Count, type Rate } from './rate.ts'
import { describePressure, thresholdsOf, type PressureOptions } from './pressure.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether this request has been counted against its client's limit. */
    isCounted: boolean
  }
  interface FastifyInstance {
    /** Why requests are being shed now, in words; null while they are not. */
    overload(): string | null
    /**
     * Counts a request that was refused before it was counted: for its token where that is known, else for its address.
     * Resolves with the `rate-limited` that it gets instead once the limit is exceeded, else with null.
     */
    countRefused(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<RoostError | null>
  }
}

export interface LimitsPluginOptions {
  /** Requests of each token, and of each address without one; null = no limit. */
  rate: Rate | null
  pressure: PressureOptions
}

/** Clients whose windows are kept, for tokens and for addresses; the one heard of longest ago makes room. */
const clientsKept = 10_000

/**
 * Sheds requests while the process is overloaded, and limits how often each client may ask. Registered before auth:
 * what is refused here costs no look at a token.
 */
export default fp<LimitsPluginOptions>(
  async (app, { rate, pressure }) => {
    const thresholds = thresholdsOf(pressure)
    const sampleMs = pressure.sampleSeconds * 1000
    // The samples of the start tell of the start.
    let countsFrom = Infinity
    app.addHook('onReady', async () => {
      countsFrom = performance.now() + 2 * sampleMs
    })
    await app.register(underPressure, {
      ...thresholds,
      sampleInterval: sampleMs,
      pressureHandler: (request: FastifyRequest) => {
        if (request.routeOptions.config.isProbe === true) return
        const overload = app.overload()
        if (overload === null) return
        throw new RoostError('overloaded', overload, {
          headers: { 'retry-after': String(Math.ceil(pressure.sampleSeconds)) }
        })
      }
    })
    app.decorate('overload', () =>
      performance.now() > countsFrom && app.isUnderPressure()
        ? describePressure(app.memoryUsage(), thresholds)
        : null
    )

    app.observability.gauge({ name: 'roost_overloaded', help: '1 while requests are being shed.' }, (set) =>
      set(app.overload() === null ? 0 : 1)
    )

    if (rate === null) {
      app.decorate('countRefused', async () => null)
      return
    }
    // Without hooks of its own: whom a request is counted for is known only after its token.
    await app.register(import('@fastify/rate-limit'), { global: false, cache: clientsKept })
    const limiterBy = (keyGenerator: (request: FastifyRequest) => string) => {
      const count = app.createRateLimit({ max: rate.max, timeWindow: rate.windowMs, keyGenerator })
      return async (request: FastifyRequest) => {
        request.isCounted = true
        // Without an allow list nobody is let through uncounted.
        return (await count(request)) as Count
      }
    }
    const countToken = limiterBy((request) => request.principal!.tokenId)
    const countAddress = limiterBy((request) => networkOf(request.ip))
    const headersOf = rateLimitHeaders(rate)
    app.decorateRequest('isCounted', false)

    app.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.config.isProbe === true || bringsToken(request)) return
      const count = await countAddress(request)
      if (count.isExceeded)
        throw rateLimited('Requests of this address without a token', rate, count, headersOf(count))
      reply.headers(headersOf(count))
    })
    async function countClient(request: FastifyRequest, reply: FastifyReply): Promise<RoostError | null> {
      const { principal } = request
      const count = await (principal === null ? countAddress : countToken)(request)
      if (count.isExceeded) {
        const who = principal === null ? 'this address' : `the token "${principal.name}"`
        return rateLimited(`Requests of ${who}`, rate!, count, headersOf(count))
      }
      reply.headers(headersOf(count))
      return null
    }
    // After every onRequest hook, auth's among them, and before the body is read.
    app.addHook('preParsing', async (request, reply) => {
      if (request.isCounted || request.routeOptions.config.isProbe === true) return
      const refusal = await countClient(request, reply)
      if (refusal !== null) throw refusal
    })
    // What was refused on the way there: a bad token, a missing scope, a path that is not there.
    app.decorate('countRefused', async (error, request, reply) => {
      const isCounted = request.isCounted || request.routeOptions.config.isProbe === true
      return isCounted || isShed(error) ? null : await countClient(request, reply)
    })
  },
  { name: 'limits', dependencies: ['observability'], decorators: { fastify: ['observability'] } }
)

/** Refused for the service's own sake, before anybody looked who asks. */
const isShed = (error: unknown): boolean =>
  error instanceof RoostError && (error.code === 'overloaded' || error.code === 'draining')

const bringsToken = ({ headers }: FastifyRequest): boolean =>
  headers.authorization !== undefined || headers['sec-websocket-protocol']?.includes('roost.bearer.') === true
