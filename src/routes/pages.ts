import { hash } from 'node:crypto'
import helmet from '@fastify/helmet'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/auth/index.ts'
import { catalogue } from '../errors.ts'

const errorStyle =
  'body{font:16px system-ui;margin:2rem;max-width:50rem}td{padding:.3rem 1rem .3rem 0}tr:target{background:#ffd}'

/** The one sheet that Swagger UI writes into the page; test/real/pages.test.ts tells when it is another. */
const swaggerStyle = "'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='"

/** The pages for people: Swagger UI and the list of errors, with headers that the API itself does without. */
export const pageRoutes: FastifyPluginAsyncTypebox = async (pages) => {
  // The pages and their assets need no token; what they call does.
  pages.addHook('onRoute', (route) => {
    route.config = { ...route.config, public: true }
  })
  await pages.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'script-src': ["'self'"],
        'style-src': ["'self'", swaggerStyle, `'sha256-${hash('sha256', errorStyle, 'base64')}'`],
        'img-src': ["'self'", 'data:'],
        'connect-src': ["'self'"],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"]
      }
    },
    // TLS is the proxy's, and so is what it promises of itself.
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' }
  })

  pages.get('/', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs'))
  pages.get(
    '/docs/errors',
    {
      schema: {
        operationId: 'getErrors',
        tags: ['documents'],
        summary: 'Every error code',
        response: { 200: { description: 'A page.', content: { 'text/html': { schema: Type.String() } } } }
      }
    },
    async (_request, reply) => reply.type('text/html; charset=utf-8').send(errorPage() as never)
  )
  await pages.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { url: '/openapi.json', persistAuthorization: true }
  })
}

function errorPage(): string {
  const rows = Object.entries(catalogue).map(
    ([code, [status, title]]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td></tr>`
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Roost: errors</title><style>${errorStyle}</style><h1>Error codes</h1><p>Every error is <code>application/problem+json</code> (RFC 9457) with one of these codes.</p><table>${rows.join('')}</table>`
}
