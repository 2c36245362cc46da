import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/storage/index.ts'
import { AuditAnchor, AuditEntry, AuditQuery, AuditVerdict } from '../schemas/audit.ts'
import { list } from '../schemas/list.ts'
import { ref } from '../schemas/ref.ts'

export const auditRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/audit',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'listAudit',
        tags: ['admin'],
        summary: 'Who changed what, newest first; each entry is chained to the one before by its hash',
        description:
          'Filters that are given must all fit one change. Of an entry that holds several only those that fit are shown; its hash is that of the whole entry.',
        querystring: AuditQuery,
        response: { 200: list(AuditEntry, 'Entries, newest first.') }
      }
    },
    async (request) => {
      const { limit = 100, since, until, ...filter } = request.query
      const page = await app.storage.audit.list({
        limit,
        ...filter,
        ...(since === undefined ? {} : { since: Date.parse(since) }),
        ...(until === undefined ? {} : { until: Date.parse(until) })
      })
      return {
        items: page.items.map(({ at, ...entry }) => ({ ...entry, time: new Date(at).toISOString() })),
        cursor: page.cursor
      }
    }
  )

  app.get(
    '/v1/audit/verify',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'verifyAudit',
        tags: ['admin'],
        summary:
          'Walk the whole chain to the first entry that was altered, removed, moved, put in or hidden from filters',
        description:
          'That the newest entries were cut off shows only against an anchor that was kept elsewhere: give it as `expect`.',
        querystring: Type.Object(
          { expect: Type.Optional(ref(AuditAnchor)) },
          { additionalProperties: false }
        ),
        response: { 200: { ...ref(AuditVerdict), description: 'What was found.' } }
      }
    },
    async (request) => {
      const [seq, hash] = request.query.expect?.split(':') ?? []
      const verdict = await app.storage.audit.verify(
        seq === undefined || hash === undefined ? undefined : { seq: Number(seq), hash }
      )
      const { head, fault, anchor } = verdict
      return {
        ...verdict,
        head: head === null ? null : `${head.seq}:${head.hash}`,
        ok: fault === null && (anchor === null || anchor === 'found')
      }
    }
  )
}
