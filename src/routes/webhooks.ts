import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/scheduler/index.ts'
import type {} from '../../plugins/webhooks/index.ts'
import { problems } from '../problem.ts'
import { JobParams, list } from '../schemas/list.ts'
import { ref } from '../schemas/ref.ts'
import { tenantPattern } from '../schemas/token.ts'
import { WebhookDelivery, WebhookSecret } from '../schemas/webhook.ts'
import { requesterOf } from './requester.ts'

export const webhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/jobs/:id/webhooks',
    {
      config: { scope: 'read:jobs' },
      schema: {
        operationId: 'listJobWebhooks',
        tags: ['jobs'],
        summary: 'The callbacks of a job: whether they were delivered, and if not, why and when next',
        params: JobParams,
        response: {
          200: list(WebhookDelivery, 'Callbacks, oldest first.'),
          ...problems('job-not-found')
        }
      }
    },
    async (request) => {
      const { id } = await app.scheduler.get(request.params.id, requesterOf(request).principal)
      return { items: await app.webhooks.list(id), cursor: null }
    }
  )

  app.get(
    '/v1/webhooks/secret',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'readWebhookSecret',
        tags: ['admin'],
        summary: 'The key with which a receiver verifies callbacks that name no secret of their own',
        description: 'Made at its first use. That it was read is in the audit.',
        querystring: Type.Object(
          {
            tenant: Type.Optional(
              Type.String({
                pattern: tenantPattern,
                description: "Default: the token's own."
              })
            )
          },
          { additionalProperties: false }
        ),
        response: { 200: { ...ref(WebhookSecret), description: 'The key.' } }
      }
    },
    async (request, reply) => {
      const requester = requesterOf(request)
      const { tenant = requester.principal.tenant } = request.query
      const secret = await app.webhooks.readSecret(tenant, requester)
      return reply.header('cache-control', 'no-store').send({ tenant, secret })
    }
  )
}
