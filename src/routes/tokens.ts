import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/auth/index.ts'
import { problems } from '../problem.ts'
import { idPattern } from '../schemas/job.ts'
import { limit, list } from '../schemas/list.ts'
import { ref } from '../schemas/ref.ts'
import { LocalToken, NewToken, tenantPattern, Token, TokenRequest } from '../schemas/token.ts'
import { requesterOf } from './requester.ts'

export const tokenRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/tokens',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'listTokens',
        tags: ['admin'],
        summary: 'Tokens, newest first, without their text',
        querystring: Type.Object(
          {
            tenant: Type.Optional(
              Type.String({ pattern: tenantPattern, description: 'Only those of this tenant.' })
            ),
            active: Type.Optional(
              Type.Boolean({
                description: 'true: only tokens in force; false: only those that expired or were revoked.'
              })
            ),
            limit,
            cursor: Type.Optional(
              Type.String({ pattern: idPattern, description: 'As the page before gave it.' })
            )
          },
          { additionalProperties: false }
        ),
        response: { 200: list(Token, 'A page of tokens.') }
      }
    },
    async (request) => {
      const { limit = 100, ...filter } = request.query
      return await app.auth.list({ limit, ...filter })
    }
  )
  app.post(
    '/v1/tokens',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'createToken',
        tags: ['admin'],
        summary: 'Make a token',
        body: ref(TokenRequest),
        response: { 201: { ...ref(NewToken), description: 'The token; its text is shown this once.' } }
      }
    },
    async (request, reply) =>
      reply
        .code(201)
        .header('cache-control', 'no-store')
        .send(await app.auth.create(request.body, requesterOf(request)))
  )
  app.delete(
    '/v1/tokens/:id',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'revokeToken',
        tags: ['admin'],
        summary: 'Revoke a token',
        description: 'From the reply on it opens nothing here, and the streams that it opened are closed.',
        params: Type.Object(
          { id: Type.String({ minLength: 1, maxLength: 64, description: 'The id of a token.' }) },
          { additionalProperties: false }
        ),
        response: { 204: Type.Null({ description: 'Revoked.' }), ...problems('token-not-found') }
      }
    },
    async (request, reply) => {
      await app.auth.revoke(request.params.id, requesterOf(request))
      return reply.code(204).send(null)
    }
  )
  app.post(
    '/v1/tokens/local/rotate',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'rotateLocalToken',
        tags: ['admin'],
        summary: 'Replace the local token',
        description:
          'The old one is good no more, and its streams are closed. 404 `not-configured` where the admin token comes from the environment: change it there.',
        response: {
          200: { ...ref(LocalToken), description: 'The new token.' },
          ...problems('not-configured')
        }
      }
    },
    async (request, reply) =>
      reply.header('cache-control', 'no-store').send(await app.auth.rotate(requesterOf(request)))
  )
}
