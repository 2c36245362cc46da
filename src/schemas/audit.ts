import { Type, type Static } from '@sinclair/typebox'
import { nullable } from './ref.ts'

export const AuditEntry = Type.Object(
  {
    seq: Type.Integer({ minimum: 1 }),
    time: Type.String({ format: 'date-time' }),
    actor: Type.String({
      description: 'The id of the token, `local` for the local one, `*` where an entry holds several records.'
    }),
    tenant: Type.String(),
    action: Type.String(),
    subject: Type.String(),
    requestId: nullable(Type.String()),
    detail: Type.Record(Type.String(), Type.Unknown(), {
      description: '`records` where one commit held several changes.'
    }),
    previousHash: Type.String(),
    hash: Type.String({ description: 'SHA-256 over the entry before and this one.' })
  },
  { $id: 'AuditEntry', additionalProperties: false }
)
export type AuditEntry = Static<typeof AuditEntry>
