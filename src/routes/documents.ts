import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from 'fastify-metrics'
import type {} from '../../plugins/openapi/index.ts'
import { catalogue } from '../errors.ts'

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
  app.get('/', { config: { public: true }, schema: { hide: true } }, async (_request, reply) =>
    reply.redirect('/docs')
  )
  app.get(
    '/docs/errors',
    {
      config: { public: true },
      schema: {
        operationId: 'getErrors',
        tags: ['documents'],
        summary: 'Every error code',
        response: { 200: { description: 'A page.', content: { 'text/html': { schema: Type.String() } } } }
      }
    },
    async (_request, reply) => reply.type('text/html; charset=utf-8').send(errorPage() as never)
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

  await app.register(async (pages) => {
    // The page and its assets need no token; what it calls does.
    pages.addHook('onRoute', (route) => {
      route.config = { ...route.config, public: true }
    })
    await pages.register(swaggerUi, {
      routePrefix: '/docs',
      uiConfig: { url: '/openapi.json', persistAuthorization: true }
    })
  })
}

function errorPage(): string {
  const rows = Object.entries(catalogue).map(
    ([code, [status, title]]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td></tr>`
  )
  return `<!doctype html><meta charset="utf-8"><title>Roost: errors</title><style>body{font:16px system-ui;margin:2rem;max-width:50rem}td{padding:.3rem 1rem .3rem 0}tr:target{background:#ffd}</style><h1>Error codes</h1><p>Every error is <code>application/problem+json</code> (RFC 9457) with one of these codes.</p><table>${rows.join('')}</table>`
}
