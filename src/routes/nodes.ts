import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/capacity/index.ts'
import type {} from '../../plugins/node/index.ts'
import type {} from '../../plugins/runtimes/index.ts'
import type {} from '../../plugins/scheduler/index.ts'
import { RoostError } from '../errors.ts'
import { problems } from '../problem.ts'
import { list } from '../schemas/list.ts'
import { NodeStatus } from '../schemas/node.ts'
import { QueueItem } from '../schemas/queue.ts'
import { ref } from '../schemas/ref.ts'
import { limit } from '../schemas/list.ts'
import { requesterOf } from './requester.ts'

const NodeParams = Type.Object(
  {
    id: Type.String({ pattern: '^[A-Za-z0-9._-]{1,128}$', description: 'A node id, its name, or `local`.' })
  },
  { additionalProperties: false }
)

const queueCursor = Type.Optional(
  Type.String({ pattern: '^[0-9]{1,9}$', description: 'As the page before gave it.' })
)

export const nodeRoutes: FastifyPluginAsyncTypebox = async (app) => {
  function localStatus(): NodeStatus {
    const { running, draining } = app.scheduler.status()
    return {
      ...app.node,
      state: draining ? (running === 0 ? 'drained' : 'draining') : 'ready',
      local: true,
      capacity: app.capacity.snapshot(),
      runtimes: app.runtimes.list().map((runtime) => runtime.name),
      taskTypes: [...app.runtimes.taskTypes().keys()],
      seenAt: new Date(app.clock.now()).toISOString()
    }
  }

  function requireLocal(id: string): void {
    if (id !== 'local' && id !== app.node.id && id !== app.node.name)
      throw new RoostError(
        'node-not-found',
        `No node is named ${id}; this one is ${app.node.name} (${app.node.id})`
      )
  }

  app.get(
    '/v1/nodes',
    {
      config: { scope: 'read:jobs' },
      schema: {
        operationId: 'listNodes',
        tags: ['nodes'],
        summary: 'Nodes in sight',
        response: { 200: list(NodeStatus, 'Nodes.') }
      }
    },
    async () => ({ items: [localStatus()], cursor: null })
  )

  app.post(
    '/v1/nodes/:id/drain',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'drainNode',
        tags: ['nodes'],
        summary: 'Take no more jobs; what runs may end',
        params: NodeParams,
        response: {
          202: { ...ref(NodeStatus), description: 'The node, draining or drained.' },
          ...problems('node-not-found')
        }
      }
    },
    async (request, reply) => {
      requireLocal(request.params.id)
      await app.scheduler.drain(requesterOf(request), app.node.id)
      return reply.code(202).send(localStatus())
    }
  )

  app.post(
    '/v1/nodes/:id/undrain',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'undrainNode',
        tags: ['nodes'],
        summary: 'Take jobs again; also after a restored backup',
        params: NodeParams,
        response: {
          202: { ...ref(NodeStatus), description: 'The node, ready.' },
          ...problems('node-not-found')
        }
      }
    },
    async (request, reply) => {
      requireLocal(request.params.id)
      await app.scheduler.undrain(requesterOf(request), app.node.id)
      return reply.code(202).send(localStatus())
    }
  )

  app.get(
    '/v1/queue',
    {
      config: { scope: 'read:jobs' },
      schema: {
        operationId: 'listQueue',
        tags: ['nodes'],
        summary: 'Waiting jobs, in the order in which they are tried',
        description:
          'Fair share between tenants, effective priority within them. Those that cannot be tried yet stand last. The first 10,000 are listed; `GET /v1/jobs?state=queued` has all. The queue moves while it is read: a job may be missed or met twice from one page to the next.',
        querystring: Type.Object({ limit, cursor: queueCursor }, { additionalProperties: false }),
        response: { 200: list(QueueItem, 'The queue, first to be tried first.') }
      }
    },
    async (request) =>
      await app.scheduler.queue(
        requesterOf(request).principal,
        request.query.limit ?? 100,
        Number(request.query.cursor ?? 0)
      )
  )
}
