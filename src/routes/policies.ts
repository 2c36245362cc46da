import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/policies/index.ts'
import type {} from '../../plugins/scheduler/index.ts'
import { problems } from '../problem.ts'
import { JobSpec } from '../schemas/job.ts'
import { PolicyExplanation, PolicyStatus } from '../schemas/policy.ts'
import { ref } from '../schemas/ref.ts'
import { tenantPattern } from '../schemas/token.ts'
import { requesterOf } from './requester.ts'

export const policyRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/policies',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'getPolicies',
        tags: ['admin'],
        summary: 'The policies in force, and what is wrong with the file as it is now',
        response: { 200: { ...ref(PolicyStatus), description: 'What is in force.' } }
      }
    },
    async () => app.policies.status()
  )

  app.post(
    '/v1/policies/explain',
    {
      config: { scope: 'write:jobs' },
      schema: {
        operationId: 'explainPolicies',
        tags: ['jobs'],
        summary: 'What the policies say of a job, without running it',
        description: 'Every check of every policy that applies, with the value and the bound.',
        querystring: Type.Object(
          {
            tenant: Type.Optional(
              Type.String({
                pattern: tenantPattern,
                description: 'For a job of this tenant; others than the own only with the scope admin.'
              })
            )
          },
          { additionalProperties: false }
        ),
        body: ref(JobSpec),
        response: {
          200: { ...ref(PolicyExplanation), description: 'The checks.' },
          ...problems('forbidden')
        }
      }
    },
    async (request) =>
      await app.scheduler.explainPolicies(request.body, requesterOf(request).principal, request.query.tenant)
  )
}
