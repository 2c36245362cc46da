import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/secrets/index.ts'
import type {} from '../../plugins/storage/index.ts'
import { RoostError } from '../errors.ts'
import { problems } from '../problem.ts'
import { secretNamePattern } from '../schemas/job.ts'
import { nullable } from '../schemas/ref.ts'
import { requesterOf } from './requester.ts'

const SecretParams = Type.Object(
  { name: Type.String({ pattern: secretNamePattern, description: 'The name of a secret.' }) },
  { additionalProperties: false }
)

export const adminRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/secrets',
    {
      config: { scope: 'write:jobs' },
      schema: {
        operationId: 'listSecrets',
        tags: ['admin'],
        summary: 'Names of secrets, never their values',
        response: {
          200: Type.Object(
            {
              items: Type.Array(
                Type.Object(
                  {
                    name: Type.String(),
                    source: Type.String(),
                    updatedAt: nullable(Type.String({ format: 'date-time' }))
                  },
                  { additionalProperties: false }
                )
              ),
              cursor: Type.Null()
            },
            { additionalProperties: false, description: 'Names, with where each comes from.' }
          )
        }
      }
    },
    async (request) => ({
      items: await app.secrets.list(requesterOf(request).principal.tenant),
      cursor: null
    })
  )
  app.put(
    '/v1/secrets/:name',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'setSecret',
        tags: ['admin'],
        summary: 'Set a secret',
        params: SecretParams,
        body: Type.Object(
          { value: Type.String({ minLength: 1, maxLength: 131_072 }) },
          { additionalProperties: false }
        ),
        response: {
          204: Type.Null({ description: 'Stored, encrypted.' })
        }
      }
    },
    async (request, reply) => {
      const requester = requesterOf(request)
      const { tenant } = requester.principal
      await app.secrets.set(tenant, request.params.name, request.body.value, requester)
      return reply.code(204).send(null)
    }
  )
  app.delete(
    '/v1/secrets/:name',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'removeSecret',
        tags: ['admin'],
        summary: 'Remove a secret',
        params: SecretParams,
        response: { 204: Type.Null({ description: 'Removed.' }), ...problems('secret-not-found') }
      }
    },
    async (request, reply) => {
      const requester = requesterOf(request)
      const removed = await app.secrets.remove(requester.principal.tenant, request.params.name, requester)
      if (!removed)
        throw new RoostError('secret-not-found', `No stored secret is named ${request.params.name}`)
      return reply.code(204).send(null)
    }
  )

  app.post(
    '/v1/backup',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'backup',
        tags: ['admin'],
        summary: 'Copy the database into a file of this machine while everything goes on',
        description: 'With Postgres `not-configured`: its own `pg_dump` takes backups.',
        body: Type.Object(
          {
            file: Type.String({
              minLength: 1,
              maxLength: 4096,
              pattern: '^/',
              description: 'An absolute path that does not exist yet.'
            })
          },
          { additionalProperties: false }
        ),
        response: {
          201: Type.Object(
            { file: Type.String(), bytes: Type.Integer() },
            { additionalProperties: false, description: 'The copy is whole and in its place.' }
          ),
          ...problems('not-configured')
        }
      }
    },
    async (request, reply) => {
      const { file } = request.body
      app.storage.checkBackup(file)
      const { bytes } = await app.audit.act(requesterOf(request), 'service.backup', file, () =>
        app.storage.backup(file)
      )
      return reply.code(201).send({ file, bytes })
    }
  )
}
