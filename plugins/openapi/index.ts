import swagger from '@fastify/swagger'
import type { TSchema } from '@sinclair/typebox'
import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { ErrorCode } from '../../src/errors.ts'
import { asyncApi } from './asyncapi.ts'
import { completeDocument, type Document, type OperationFacts } from './document.ts'
import { readExamples } from './examples.ts'
import { tags } from './tags.ts'
import { webhooks } from './webhooks.ts'
import type {} from '../auth/index.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The AsyncAPI 3 document of the stream, from the same schemas. */
    asyncApi(): object
  }
  interface FastifyContextConfig {
    /** Headers that the handler reads and checks itself, for the document. */
    requestHeaders?: Record<string, TSchema>
  }
}

export interface OpenapiPluginOptions {
  version: string
}

/** The OpenAPI document, from the routes' schemas; a route's scope becomes its security. */
export default fp<OpenapiPluginOptions>(
  async (app, { version }) => {
    const facts = new Map<string, OperationFacts>()
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Roost',
          version,
          description:
            'Runs jobs on the machines you already own. Errors are problem+json (RFC 9457), each with a code of /docs/errors; lists are `{items, cursor}`. The WebSocket and its frames are described by /asyncapi.json too.',
          license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
        },
        servers: [{ url: '/', description: 'The service that gave this document.' }],
        tags,
        webhooks,
        components: {
          securitySchemes: {
            bearer: {
              type: 'http',
              scheme: 'bearer',
              description:
                'A token of `roost token`, or a JWT of an issuer that the service trusts, with the scope that the operation names. In a browser a WebSocket sends it as the second subprotocol, `roost.bearer.` and its base64url.'
            }
          }
        }
      },
      refResolver: {
        buildLocalReference: (json, _baseUri, _fragment, i) =>
          typeof json['$id'] === 'string' ? json['$id'] : `schema${i}`
      },
      transform: ({ schema, url, route }) => {
        const { scope } = route.config ?? {}
        if (schema === undefined || schema.hide === true) return { schema: schema ?? { hide: true }, url }
        const { own, response } = splitProblems(schema.response)
        facts.set(schema.operationId ?? url, factsOf(route, own))
        return {
          schema: {
            ...schema,
            response,
            ...(scope === undefined ? { security: [] } : { security: [{ bearer: [scope] }] })
          },
          url
        }
      },
      transformObject: (document) => {
        if (!('openapiObject' in document)) throw new Error('The document is not OpenAPI 3')
        return completeDocument(
          document.openapiObject as unknown as Document,
          facts,
          readExamples()
        ) as object
      }
    })
    app.decorate('asyncApi', () => asyncApi(version))
  },
  { name: 'openapi' }
)

function factsOf({ method, config, schema, url }: RouteOptions, own: ErrorCode[]): OperationFacts {
  const requestHeaders = config?.requestHeaders ?? {}
  return {
    method: [method].flat()[0]!,
    scope: config?.scope,
    isProbe: config?.isProbe === true,
    hasParams: url.includes(':'),
    isValidated: schema?.querystring !== undefined || Object.keys(requestHeaders).length > 0,
    own,
    requestHeaders
  }
}

/** The codes of `problems(…)` in a route's `response`, and the answers that remain. */
function splitProblems(response: unknown): { own: ErrorCode[]; response: Record<string, object> } {
  const entries = Object.entries((response ?? {}) as Record<string, object & { codes?: ErrorCode[] }>)
  return {
    own: entries.flatMap(([, { codes }]) => codes ?? []),
    response: Object.fromEntries(entries.filter(([, { codes }]) => codes === undefined))
  }
}
