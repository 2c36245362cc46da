import fp from 'fastify-plugin'
import type { FastifyBaseLogger, FastifyRequest, RouteOptions } from 'fastify'
import type {} from '../storage/index.ts'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Scope } from '../../src/schemas/job.ts'
import type { Principal } from '../../src/schemas/token.ts'
import { RoostError } from '../../src/errors.ts'
import { networkOf } from '../../src/addresses.ts'
import { createAuth, requireScope, type AuthOptions } from './auth.ts'
import { createHostCheck } from './hosts.ts'
import type { TrustedIssuer } from './jwt/verifier.ts'
import { refused } from './refusals.ts'

declare module 'fastify' {
  interface FastifyInstance {
    auth: ReturnType<typeof createAuth>
  }
  interface FastifyRequest {
    /** Set on every route that is not public, and on public ones where a good token came along. */
    principal: Principal | null
  }
  interface FastifyContextConfig {
    /** The scope that a token needs here. */
    scope?: Scope
    /** No token needed. */
    public?: boolean
    /** A probe: it answers under any Host, however often it is asked, and while the node is overloaded. */
    isProbe?: boolean
  }
}

export interface AuthPluginOptions {
  dataDir: string
  token: string
  failures: AuthOptions['failures']
  /** Issuers whose JWTs are taken. */
  jwt: readonly TrustedIssuer[]
  allowedHosts: readonly string[]
  corsOrigins: readonly string[]
}

const bearerProtocol = 'roost.bearer.'
const maxTokenLength = 8192

export default fp<AuthPluginOptions>(
  async (app, options) => {
    const { clock, log } = app
    const auth = createAuth({
      storage: app.storage,
      clock,
      log,
      dataDir: options.dataDir,
      token: options.token,
      failures: options.failures,
      jwt: options.jwt.length === 0 ? null : await loadVerifier(options.jwt, clock, log)
    })
    const hosts = createHostCheck(options.allowedHosts, options.corsOrigins)
    app.decorate('auth', auth)
    app.decorateRequest('principal', null)
    app.addHook('onClose', async () => await auth.close())

    // A route that says nothing of its scope is a fault of the program, found at the start.
    const routes: RouteOptions[] = []
    app.addHook('onRoute', (route) => void routes.push(route))
    app.addHook('onReady', async () => {
      for (const { method, url, config } of routes) {
        // A preflight carries no token by its nature.
        if (method === 'OPTIONS') continue
        if (config?.scope === undefined && config?.public !== true)
          throw new Error(`Route ${String(method)} ${url} declares no scope and is not public`)
      }
    })

    async function principalOf(request: FastifyRequest): Promise<Principal | null> {
      const presented = presentedToken(request)
      return presented === null ? null : await auth.authenticate(presented, () => networkOf(request.ip))
    }

    app.addHook('onRequest', async (request) => {
      const { scope, isProbe } = request.routeOptions.config
      if (isProbe !== true) {
        const { host, origin } = request.headers
        if (host === undefined || !hosts.isKnownHost(host)) {
          throw new RoostError(
            'misdirected-request',
            `This service does not answer as "${host ?? ''}"; add the name to ROOST_ALLOWED_HOSTS if it should`,
            { kind: 'host' }
          )
        }
        if (origin !== undefined && !hosts.isKnownOrigin(origin)) {
          throw new RoostError(
            'misdirected-request',
            `Pages of ${origin} may not call this service; add the origin to corsOrigins if they should`,
            { kind: 'origin' }
          )
        }
      }
      if (scope === undefined) {
        // Public: a good token shows more, a bad one is no reason to refuse.
        request.principal = await principalOf(request).catch(() => null)
        return
      }
      request.principal = await principalOf(request)
      if (request.principal === null) {
        throw new RoostError(
          'unauthorized',
          'Send a token as "Authorization: Bearer …"; on this machine, "roost token" prints one',
          { headers: { 'www-authenticate': 'Bearer realm="roost"' }, kind: 'missing' }
        )
      }
      requireScope(request.principal, scope)
    })
    // A body may take its time to come, and the token may end meanwhile.
    app.addHook('preHandler', (request, _reply, done) => {
      if (request.principal !== null) auth.requireInForce(request.principal)
      done()
    })
  },
  { name: 'auth', dependencies: ['storage'], decorators: { fastify: ['storage', 'clock'] } }
)

/** From the Authorization header, or of a browser's WebSocket from its second subprotocol. */
function presentedToken(request: FastifyRequest): string | null {
  const header = request.headers.authorization
  if (header !== undefined) {
    const match = /^Bearer ([\x21-\x7e]{1,8192})$/i.exec(header)
    if (match === null)
      throw refused(
        'malformed',
        header.length > maxTokenLength
          ? `The token is longer than ${maxTokenLength} characters`
          : 'The Authorization header must be "Bearer " and a token'
      )
    return match[1]!
  }
  const protocols = request.headers['sec-websocket-protocol']
  if (protocols === undefined) return null
  const bearer = protocols
    .split(',')
    .map((protocol) => protocol.trim())
    .find((protocol) => protocol.startsWith(bearerProtocol))
  return bearer === undefined
    ? null
    : Buffer.from(bearer.slice(bearerProtocol.length), 'base64url').toString('utf8')
}

/** jose is loaded only where an issuer is trusted. */
async function loadVerifier(
  issuers: readonly TrustedIssuer[],
  clock: Clock,
  log: FastifyBaseLogger
): Promise<AuthOptions['jwt']> {
  const { createJwtVerifier } = await import('./jwt/verifier.ts')
  return createJwtVerifier({ issuers, clock, log })
}
