import { isUtf8 } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Writable } from 'node:stream'
import { LogController, type FastifyBaseLogger, type FastifyHttpOptions, type FastifyInstance } from 'fastify'
import type { Config } from './config/schema.ts'
import type { Tracing } from './contracts/observability.ts'
import { RoostError, type ErrorCode } from './errors.ts'
import { escapePointer, findJsonFaults } from './json.ts'
import { problemType, sendProblem, toProblem } from './problem.ts'
import { redactLine } from './redact.ts'
import { traceContextPattern, traceIdOf } from './trace-context.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The W3C trace context that the request is part of: its span's, else what the caller sent; null = none. */
    traceparent: string | null
  }
}

/** Largest body of the API (design §2). */
const bodyLimitBytes = 2 ** 20
const closeGraceMs = 3_000

/** The server's own settings: limits, request ids, the log. */
export function readHttp(
  config: Config,
  logTo: Writable | undefined,
  tracing: Tracing | null
): FastifyHttpOptions<Server> {
  const { limits, trustProxy } = config
  const requestTimeout = limits.requestSeconds * 1000
  const headersTimeout = Math.min(limits.headersSeconds * 1000, requestTimeout)
  return {
    logger: {
      level: config.logLevel,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (level: string) => ({ level }) },
      hooks: { streamWrite: redactLine },
      ...(logTo === undefined ? {} : { stream: logTo })
    },
    bodyLimit: bodyLimitBytes,
    requestTimeout,
    keepAliveTimeout: limits.keepAliveSeconds * 1000,
    trustProxy: trustProxy.length > 0 && trustProxy,
    http: {
      // A client that sends its headers or body slower than this is cut (slow loris). Node looks every so often only.
      requestTimeout,
      headersTimeout,
      connectionsCheckingInterval: Math.min(5_000, headersTimeout / 2),
      // A request without a Host is refused in our own words, by the host check.
      requireHostHeader: false,
      // Many clients offer h2c with every request: only a WebSocket of the stream's is an upgrade (Node 24.9 and newer).
      shouldUpgradeCallback: ({ headers, url = '' }: IncomingMessage) =>
        headers.upgrade?.toLowerCase() === 'websocket' && url.startsWith('/stream/')
    },
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    childLoggerFactory(logger, bindings, options, request): FastifyBaseLogger {
      const traceparent = traceparentOf(request, tracing)
      if (traceparent === null) return logger.child(bindings, options)
      return logger.child({ ...bindings, traceId: traceIdOf(traceparent) }, options)
    },
    // A stop answers what is under way and closes idle connections at once.
    forceCloseConnections: 'idle',
    // Fastify's own refusal is no problem+json; a hook of ours refuses.
    return503OnClosing: false,
    genReqId: requestId,
    routerOptions: { maxParamLength: 256 },
    // Its parameters are generic in every way that a request can be; ours are the plain ones.
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
    clientErrorHandler: answerClientError
  }
}

/** Hooks and parsers that every route shares. */
export function addHttpHooks(app: FastifyInstance): void {
  let isStopping = false
  app.decorateRequest('traceparent', null)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    // A job's output goes out as text/plain: no browser shall take it for a page.
    reply.header('x-content-type-options', 'nosniff')
    request.traceparent = traceparentOf(request.raw, app.observability.tracing)
    if (request.traceparent !== null) reply.header('traceparent', request.traceparent)
    if (isStopping)
      throw new RoostError('draining', 'The service is stopping; it may be back in a moment', {
        headers: { connection: 'close', 'retry-after': '1' }
      })
  })
  // After auth, as who asks is counted for it, and before the body: a path that is not there has no content type to
  // complain of.
  app.addHook('preParsing', (request, _reply, _body, done) => {
    if (request.is404) refusePath(request.url.split('?', 1)[0]!, request.method)
    if (request.url.includes('%00')) refuseNul(request.url)
    done()
  })
  app.addHook('onResponse', async (request, reply) => {
    const level = reply.statusCode >= 500 ? 'warn' : 'debug'
    request.log[level](
      {
        method: request.method,
        path: request.url.split('?', 1)[0],
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        from: request.ip
      },
      'request'
    )
    // A refused upgrade leaves a socket that no longer belongs to the HTTP server: nobody else would close it.
    if (request.headers.upgrade !== undefined) request.raw.socket.end()
  })
  // Closing waits for the answers under way; a client that neither reads nor leaves is not waited for.
  app.addHook('preClose', async () => {
    isStopping = true
    setTimeout(() => app.server.closeAllConnections(), closeGraceMs).unref()
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
    const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers
    if (encoding !== 'identity' || !/^[^;]*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
      return done(
        new RoostError('unsupported-media-type', 'Send the body as application/json in UTF-8, not compressed')
      )
    }
    if (!isUtf8(bytes)) return done(new RoostError('malformed', 'The body is not UTF-8'))
    parseBody(bytes.toString('utf8'), done)
  })
  // Node answers an expectation that it does not know by itself, without a body.
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const problem = toProblem(
      new RoostError(
        'expectation-failed',
        `This service does not know the expectation ${JSON.stringify(request.headers.expect)}`
      )
    )
    response
      .writeHead(problem.status, { 'content-type': problemType, connection: 'close' })
      .end(JSON.stringify(problem))
  })

  // 405 needs to know which methods a path has; the router tells only of one method at a time.
  const methodsByPath: { matches: RegExp; methods: Set<string> }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    // The CORS plugin's preflight for every path says nothing of what is there.
    if (url === '*') return
    const pattern = new RegExp(
      `^${url
        .replaceAll(/[.+^$(){}|[\]\\]/g, '\\$&')
        .replaceAll(/:[^/]+/g, '[^/]+')
        .replaceAll('*', '.*')}/?$`
    )
    const known = methodsByPath.find(({ matches }) => matches.source === pattern.source)
    const methods = known?.methods ?? new Set<string>()
    for (const name of [method].flat()) methods.add(name)
    if (known === undefined) methodsByPath.push({ matches: pattern, methods })
  })

  function refusePath(path: string, method: string): never {
    const allowed = new Set(
      methodsByPath.filter(({ matches }) => matches.test(path)).flatMap(({ methods }) => [...methods])
    )
    if (allowed.size > 0 && !allowed.has(method)) {
      const list = [...allowed].sort().join(', ')
      throw new RoostError('method-not-allowed', `${path} takes ${list}, not ${method}`, {
        headers: { allow: list }
      })
    }
    throw new RoostError('not-found', `There is nothing at ${path}; /docs shows what there is`)
  }
}

/** No database and no program can be given one; `findJsonFaults` looks for it in bodies. */
function refuseNul(url: string): void {
  const [path = '', query = ''] = url.split('?', 2)
  if (path.includes('%00')) {
    const isJob = path.startsWith('/v1/jobs/') || path.startsWith('/stream/')
    throw new RoostError(isJob ? 'job-not-found' : 'not-found', 'There is nothing with that id')
  }
  const message = 'holds a NUL character (%00); remove it'
  const errors = [...new URLSearchParams(query)]
    .filter((pair) => pair.some((text) => text.includes('\0')))
    .map(([name]) => ({ in: 'query' as const, pointer: `/${escapePointer(name)}`, message }))
  throw new RoostError('invalid', `${errors[0]?.pointer ?? 'the query'} ${message}`, { errors })
}

/** V8's words without the piece of the body that it quotes, which may be half of a secret. */
const describeJsonFault = ({ message }: Error): string => message.replace(/, (\.{3})?".*$/s, '')

function parseBody(text: string, done: (error: Error | null, body?: unknown) => void): void {
  if (text.length === 0) return done(new RoostError('malformed', 'The body is empty; send a JSON document'))
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (error) {
    return done(
      new RoostError('malformed', `The body is not JSON: ${describeJsonFault(error as Error)}`, {
        cause: error
      })
    )
  }
  const errors = findJsonFaults(text)
  if (errors.length > 0)
    return done(new RoostError('invalid', `${errors[0]!.pointer} ${errors[0]!.message}`, { errors }))
  done(null, body)
}

function traceparentOf(request: IncomingMessage, tracing: Tracing | null): string | null {
  const active = tracing?.active()
  if (active != null) return active
  const given = request.headers['traceparent']
  return typeof given === 'string' && traceContextPattern.test(given) ? given : null
}

const counterBlock = randomFillSync(Buffer.alloc(6)).toString('hex')
let counter = 0

/** The client's X-Request-Id where it is a decent one, else one of ours. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  if (typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given)) return given
  counter = (counter + 1) % 2 ** 40
  return `${counterBlock}-${counter.toString(36)}`
}

const clientErrors: Record<string, [code: ErrorCode, detail: string]> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'The request line and headers together may take 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: ['timeout', 'The request did not arrive in time']
}

/** What Node's parser refuses never reaches a route; it is answered as problem+json all the same. */
function answerClientError(this: FastifyInstance, error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [code, detail] = clientErrors[error.code ?? ''] ?? [
    'bad-request',
    `The request is not HTTP/1.1: ${error.message}`
  ]
  const problem = new RoostError(code, detail)
  this.observability.refused(problem)
  answerSocket(socket, problem)
}

/** A problem on a socket that no response of Node's stands for any more; the connection is closed. */
export function answerSocket(socket: Duplex, error: RoostError): void {
  const problem = toProblem(error)
  const body = JSON.stringify(problem)
  const headers = {
    'Content-Type': problemType,
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...error.headers
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join('')}\r\n${body}`)
}
