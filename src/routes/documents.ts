import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from 'fastify-metrics'
import type {} from '../../plugins/openapi/index.ts'

const anyObject = Type.Object({}, { additionalProperties: true })

export const documentRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/openapi.json',
    {
      config: { public: true },
      schema: {
        operationId: 'getOpenapi',
        tags: ['documents'],
        summary: 'This document',
        response: { 200: { ...anyObject, description: 'OpenAPI 3.1.' } }
      },
      serializerCompiler: () => JSON.stringify
    },
    async () => app.swagger() as Record<string, unknown>
  )
  app.get(
    '/asyncapi.json',
    {
      config: { public: true },
      schema: {
        operationId: 'getAsyncapi',
        tags: ['documents'],
        summary: 'The stream as an AsyncAPI 3 document',
        response: { 200: { ...anyObject, description: 'AsyncAPI 3.' } }
      },
      serializerCompiler: () => JSON.stringify
    },
    async () => app.asyncApi() as Record<string, unknown>
  )
  app.get(
    '/metrics',
    {
      config: { scope: 'read:jobs' },
      schema: {
        operationId: 'getMetrics',
        tags: ['documents'],
        summary: 'Prometheus metrics',
        response: {
          200: { description: 'The exposition.', content: { 'text/plain': { schema: Type.String() } } }
        }
      }
    },
    async (_request, reply) => {
      const { register } = app.metrics.client
      return reply.type(register.contentType).send(await register.metrics())
    }
  )
}
