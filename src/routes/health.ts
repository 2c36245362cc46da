import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/capacity/index.ts'
import type {} from '../../plugins/limits/index.ts'
import type {} from '../../plugins/node/index.ts'
import type {} from '../../plugins/policies/index.ts'
import type {} from '../../plugins/runtimes/index.ts'
import type {} from '../../plugins/scheduler/index.ts'
import type {} from '../../plugins/storage/index.ts'
import { Health } from '../schemas/node.ts'
import { ref } from '../schemas/ref.ts'

const check = Type.Object(
  { name: Type.String(), ok: Type.Boolean(), message: Type.Union([Type.String(), Type.Null()]) },
  { additionalProperties: false }
)
const Readiness = Type.Object(
  { ready: Type.Boolean(), checks: Type.Optional(Type.Array(check)) },
  { additionalProperties: false }
)

export const healthRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/health',
    {
      config: { public: true },
      schema: {
        operationId: 'getHealth',
        tags: ['health'],
        summary: 'How the node is; details with read:jobs',
        response: { 200: { ...ref(Health), description: 'How the node is.' } }
      }
    },
    async (request): Promise<Health> => {
      const { id, name, version, os, arch, labels } = app.node
      const jobs = app.scheduler.status()
      const storage = await app.storage.status()
      const reasons: string[] = []
      if (!storage.writable) reasons.push(storage.message ?? 'The storage takes no writes')
      if (jobs.paused !== null) reasons.push(jobs.paused)
      const { error, file } = app.policies.status()
      if (error !== null)
        reasons.push(
          request.principal?.scopes.has('admin') === true
            ? `The policy file ${file} is not valid, the policies read before stay in force: ${error.problems.join('; ')}`
            : 'The policy file is not valid, the policies read before stay in force'
        )
      const summary: Health = {
        status: !storage.writable
          ? 'degraded'
          : jobs.paused !== null
            ? 'paused'
            : jobs.draining
              ? 'draining'
              : error === null
                ? 'ok'
                : 'degraded',
        node: {
          id,
          name,
          version,
          os,
          arch,
          labels,
          runtimes: app.runtimes.list().map((runtime) => runtime.name)
        }
      }
      if (!request.principal?.scopes.has('read:jobs')) return summary
      return {
        ...summary,
        ...(reasons.length === 0 ? {} : { reasons }),
        capacity: app.capacity.snapshot(),
        limits:
          app.runtimes.find('process')?.describeLimits?.() ??
          `none: ${app.runtimes.switchedOff().get('process') ?? 'no process runtime here'}`,
        queue: { depth: jobs.queued, oldestSeconds: jobs.oldestSeconds },
        peers: { alive: 0, suspect: 0, dead: 0 },
        providers: [],
        storage
      }
    }
  )

  app.get(
    '/livez',
    {
      config: { public: true, isProbe: true },
      schema: {
        operationId: 'getLive',
        tags: ['health'],
        summary: 'The process answers',
        response: { 200: Type.Object({ live: Type.Literal(true) }, { description: 'It answers.' }) }
      }
    },
    async () => ({ live: true as const })
  )

  app.get(
    '/readyz',
    {
      config: { public: true, isProbe: true },
      schema: {
        operationId: 'getReady',
        tags: ['health'],
        summary: 'The node takes jobs',
        querystring: Type.Object(
          {
            verbose: Type.Optional(
              Type.Union([Type.Boolean(), Type.Literal('')], {
                description: 'Tells each check; `?verbose` is enough.'
              })
            )
          },
          { additionalProperties: false }
        ),
        response: {
          200: { ...Readiness, description: 'It takes jobs.' },
          503: { ...Readiness, description: 'It takes none now.' }
        }
      }
    },
    async (request, reply) => {
      const storage = await app.storage.status()
      const { draining } = app.scheduler.status()
      const overload = app.overload()
      const checks = [
        { name: 'storage', ok: storage.writable, message: storage.message },
        { name: 'scheduler', ok: !draining, message: draining ? 'The node is draining' : null },
        { name: 'load', ok: overload === null, message: overload }
      ]
      const ready = checks.every(({ ok }) => ok)
      return reply.code(ready ? 200 : 503).send({
        ready,
        ...(request.query.verbose === undefined || request.query.verbose === false ? {} : { checks })
      })
    }
  )
}
