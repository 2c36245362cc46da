import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/scheduler/index.ts'
import { RoostError } from '../errors.ts'
import { problems } from '../problem.ts'
import { idPattern } from '../schemas/job.ts'
import { cursor, limit, list } from '../schemas/list.ts'
import { Pod } from '../schemas/node.ts'
import { nullable, stringEnum } from '../schemas/ref.ts'
import { requesterOf } from './requester.ts'

export const podRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/pods',
    {
      config: { scope: 'read:jobs' },
      schema: {
        operationId: 'listPods',
        tags: ['workloads'],
        summary: 'Workloads of every runtime',
        querystring: Type.Object(
          {
            runtime: Type.Optional(
              Type.String({ minLength: 1, maxLength: 64, description: 'Workloads of this runtime.' })
            ),
            node: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 128,
                description: 'Id or name of a node, or `local`.'
              })
            ),
            jobId: Type.Optional(Type.String({ pattern: idPattern, description: 'Workloads of this job.' })),
            scope: Type.Optional(
              stringEnum(['local', 'mesh'] as const, {
                default: 'local',
                description: 'This node, or all in sight.'
              })
            ),
            limit,
            cursor
          },
          { additionalProperties: false }
        ),
        response: { 200: list(Pod, 'Workloads, by name.') }
      }
    },
    async (request) => {
      const { runtime, node, jobId, limit = 100, cursor } = request.query
      const matching = (await app.scheduler.listPods(requesterOf(request))).filter(
        (pod) =>
          (runtime === undefined || pod.runtime === runtime) &&
          (jobId === undefined || pod.jobId === jobId) &&
          (node === undefined || pod.node === node || node === 'local' || node === app.node.name) &&
          (cursor === undefined || pod.name > cursor)
      )
      const items = matching.slice(0, limit)
      return { items, cursor: matching.length > limit ? items.at(-1)!.name : null }
    }
  )

  app.post(
    '/evict',
    {
      config: { scope: 'write:jobs' },
      schema: {
        operationId: 'evict',
        tags: ['workloads'],
        summary: 'End an attempt and put its job back into the queue',
        body: Type.Object(
          {
            pod: Type.Optional(Type.String({ minLength: 1, maxLength: 253 })),
            namespace: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 63 }))),
            jobId: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
            reason: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
            gracePeriodSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 3600, default: 10 })),
            requeue: Type.Optional(Type.Boolean({ default: true }))
          },
          { additionalProperties: false }
        ),
        response: {
          202: Type.Object(
            { jobId: nullable(Type.String()), pod: nullable(Type.String()) },
            { additionalProperties: false, description: 'The attempt is being ended.' }
          ),
          ...problems(
            'policy-denied',
            'job-not-found',
            'pod-not-found',
            'already-finished',
            'not-running',
            'disruption-budget'
          )
        }
      }
    },
    async (request, reply) => {
      const { pod, jobId } = request.body
      if ((pod === undefined) === (jobId === undefined)) {
        const message = 'give one of pod and jobId'
        throw new RoostError('invalid', message, {
          errors: [{ in: 'body', pointer: pod === undefined ? '/jobId' : '/pod', message }]
        })
      }
      return reply.code(202).send(await app.scheduler.evict(request.body, requesterOf(request)))
    }
  )
}
