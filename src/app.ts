import type { Writable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance, type FastifySchema } from 'fastify'
import type { FastifySerializerCompiler } from 'fastify/types/schema.js'
import audit from '../plugins/audit/index.ts'
import auth from '../plugins/auth/index.ts'
import capacity from '../plugins/capacity/index.ts'
import limits from '../plugins/limits/index.ts'
import node from '../plugins/node/index.ts'
import observability from '../plugins/observability/index.ts'
import openapi from '../plugins/openapi/index.ts'
import policies from '../plugins/policies/index.ts'
import runtimes from '../plugins/runtimes/index.ts'
import scheduler from '../plugins/scheduler/index.ts'
import secrets from '../plugins/secrets/index.ts'
import storage from '../plugins/storage/index.ts'
import stream from '../plugins/stream/index.ts'
import webhooks from '../plugins/webhooks/index.ts'
import { readRate } from './config/limits.ts'
import { maskConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import { guardConnections } from './connections.ts'
import { systemClock, type Clock } from './contracts/clock.ts'
import type { Tracing } from './contracts/observability.ts'
import { corsOptions } from './cors.ts'
import { loadExtension } from './extension.ts'
import { addHttpHooks, readHttp } from './http.ts'
import { isLoopback } from './loopback.ts'
import { sendProblem } from './problem.ts'
import { rememberPassword, rememberSecret } from './redact.ts'
import { adminRoutes } from './routes/admin.ts'
import { auditRoutes } from './routes/audit.ts'
import { documentRoutes } from './routes/documents.ts'
import { healthRoutes } from './routes/health.ts'
import { jobRoutes } from './routes/jobs.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { pageRoutes } from './routes/pages.ts'
import { podRoutes } from './routes/pods.ts'
import { policyRoutes } from './routes/policies.ts'
import { streamRoutes } from './routes/streams.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { sharedSchemas } from './schemas/index.ts'
import { createValidatorCompiler } from './validation.ts'
import { version } from './version.ts'

export interface AppOptions {
  clock?: Clock
  /** Spans; what starts the service makes it where ROOST_OTEL is on. */
  tracing?: Tracing | null
  /** Where the log goes; default stdout. */
  logTo?: Writable
  /** Tests give one that holds each reply to its schema. */
  serializerCompiler?: FastifySerializerCompiler<FastifySchema>
}

// Replies are made by code that the compiler holds to their schemas; a serializer compiled for each of a hundred
// schemas costs 40 MB and half the start (docs/decisions/005-serialisation.md).
const plainSerializer: FastifySerializerCompiler<FastifySchema> = () => JSON.stringify

/** The composition: kernel, concerns, routes, then the extensions of the configuration; nothing else. */
export async function createApp(
  config: Config,
  { clock = systemClock, tracing = null, logTo, serializerCompiler = plainSerializer }: AppOptions = {}
): Promise<FastifyInstance> {
  rememberSecret(config.token)
  rememberPassword(config.databaseUrl)
  const app = Fastify(readHttp(config, logTo, tracing)).withTypeProvider<TypeBoxTypeProvider>()
  app.decorate('clock', clock)
  app.setValidatorCompiler(createValidatorCompiler())
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(async (error, request, reply) =>
    sendProblem((await app.countRefused(error, request, reply)) ?? error, request, reply)
  )
  addHttpHooks(app)
  guardConnections(app.server, { ...config.limits, trusted: config.trustProxy, log: app.log })
  for (const schema of sharedSchemas) app.addSchema(schema)

  await app.register(observability, {
    metricsPort: config.metricsPort,
    host: config.host,
    version,
    tracing
  })
  await app.register(storage, { dataDir: config.dataDir, databaseUrl: config.databaseUrl })
  await app.register(node, { ...config.node, version })
  await app.register(audit, { version, configuration: maskConfig(config) })
  // Before all that refuses: a page may read why.
  if (config.corsOrigins.length > 0)
    await app.register(import('@fastify/cors'), corsOptions(config.corsOrigins))
  await app.register(limits, { rate: readRate(config.rateLimit), pressure: config.limits })
  await app.register(auth, {
    dataDir: config.dataDir,
    token: config.token,
    failures: readRate(config.limits.authFailures),
    jwt: config.jwt,
    allowedHosts: config.allowedHosts,
    corsOrigins: config.corsOrigins
  })
  await app.register(secrets, { dataDir: config.dataDir, secretsDir: config.secretsDir })
  await app.register(policies, { file: config.policiesFile })
  await app.register(webhooks, { version })
  await app.register(capacity, config.capacity)
  await app.register(runtimes, {
    dataDir: config.dataDir,
    jobUser: config.jobUser,
    diskReserveBytes: config.diskReserveBytes,
    processOff: whyProcessOff(config)
  })
  await app.register(scheduler, {
    logCapBytes: config.logCapBytes,
    idempotencyKeptHours: config.idempotencyKeptHours
  })
  await app.register(stream, config.limits)
  await app.register(openapi, { version })

  for (const routes of [
    jobRoutes,
    streamRoutes,
    podRoutes,
    nodeRoutes,
    healthRoutes,
    tokenRoutes,
    adminRoutes,
    auditRoutes,
    policyRoutes,
    webhookRoutes,
    documentRoutes,
    pageRoutes
  ])
    await app.register(routes)
  for (const plugin of config.plugins)
    await app.register(await loadExtension(plugin), typeof plugin === 'string' ? {} : (plugin.options ?? {}))
  return app
}

/** Who listens for others is not to run their programs without a word of its own. */
function whyProcessOff({ process, host }: Config): string | null {
  if (process === 'off') return 'process jobs are off; ROOST_PROCESS=on switches them on'
  return process === 'on' || isLoopback(host)
    ? null
    : `listening on ${host}: process jobs are off; ROOST_PROCESS=on switches them on`
}
