import swagger from '@fastify/swagger'
import fp from 'fastify-plugin'
import { asyncApi } from './asyncapi.ts'
import type {} from '../auth/index.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The AsyncAPI 3 document of the stream, from the same schemas. */
    asyncApi(): object
  }
}

export interface OpenapiPluginOptions {
  version: string
}

/** The OpenAPI document, from the routes' schemas; a route's scope becomes its security. */
export default fp<OpenapiPluginOptions>(
  async (app, { version }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Roost',
          version,
          description:
            'Runs jobs on the machines you already own. Errors are problem+json (RFC 9457); lists are `{items, cursor}`.',
          license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
        },
        components: {
          securitySchemes: {
            bearer: {
              type: 'http',
              scheme: 'bearer',
              description: 'A token of `roost token`, with the scope that the operation names.'
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
        return {
          schema: {
            ...schema,
            ...(scope === undefined ? { security: [] } : { security: [{ bearer: [scope] }] })
          },
          url
        }
      }
    })
    app.decorate('asyncApi', () => asyncApi(version))
  },
  { name: 'openapi' }
)
