import { Type, type Static } from '@sinclair/typebox'
import { nullable, ref } from './ref.ts'
import { tenantPattern } from './token.ts'

export const AuditAnchor = Type.String({
  $id: 'AuditAnchor',
  pattern: '^[1-9][0-9]{0,14}:[0-9a-f]{64}$',
  description:
    'SEQ:HASH of an entry: what one keeps elsewhere to find out later that the newest were cut off.'
})

export const AuditEntry = Type.Object(
  {
    seq: Type.Integer({ minimum: 1 }),
    time: Type.String({ format: 'date-time' }),
    actor: Type.String({
      description:
        'The id of the token, `local` for the local one, `system` for Roost itself; `*` here and below where the records of an entry differ.'
    }),
    actorName: nullable(Type.String({ description: 'The name of the token.' })),
    tenant: Type.String(),
    action: Type.String({ description: 'What was done, such as `job.cancel`.' }),
    subject: Type.String({ description: 'To what: the id or name of the job, token, secret, node.' }),
    requestId: nullable(Type.String()),
    address: nullable(Type.String({ description: 'Where the request came from.' })),
    client: nullable(Type.String({ description: 'Its User-Agent, at most 128 characters.' })),
    detail: Type.Record(Type.String(), Type.Unknown(), {
      description:
        '`before` and `after` of what changed, and the `traceId` of the request that came with one. `records` where one commit held several changes: what a record lacks is as in the entry.'
    }),
    previousHash: Type.String(),
    hash: Type.String({ description: 'SHA-256 over the hash of the entry before and this entry.' })
  },
  { $id: 'AuditEntry', additionalProperties: false }
)
export type AuditEntry = Static<typeof AuditEntry>

export const AuditQuery = Type.Object(
  {
    tenant: Type.Optional(
      Type.String({
        pattern: tenantPattern,
        description: 'Changes by tokens of this tenant.'
      })
    ),
    action: Type.Optional(
      Type.String({ pattern: '^[a-z][a-z.-]{0,62}$', description: 'Such as `job.cancel`.' })
    ),
    actor: Type.Optional(
      Type.String({ pattern: '^[A-Za-z0-9:._-]{1,128}$', description: 'The id of a token.' })
    ),
    subject: Type.Optional(
      Type.String({
        pattern: '^[^\\u0000]{1,4096}$',
        description: 'The id or name of what was changed.'
      })
    ),
    since: Type.Optional(Type.String({ format: 'date-time', description: 'At or after this time.' })),
    until: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time.' })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'At most so many entries.' })
    ),
    cursor: Type.Optional(
      Type.String({ pattern: '^[0-9]{1,15}$', description: 'As the page before gave it.' })
    )
  },
  { additionalProperties: false }
)

export const AuditVerdict = Type.Object(
  {
    ok: Type.Boolean({ description: 'Every entry fits, and the anchor, if one was given, was found.' }),
    entries: Type.Integer({ minimum: 0, description: 'How many entries fit, from the first one on.' }),
    head: nullable(ref(AuditAnchor)),
    fault: nullable(
      Type.Object(
        { seq: Type.Integer({ minimum: 1 }), message: Type.String() },
        { additionalProperties: false, description: 'The first entry that does not fit.' }
      )
    ),
    anchor: nullable(
      Type.Unsafe<'found' | 'different' | 'missing'>({
        type: 'string',
        enum: ['found', 'different', 'missing'],
        description:
          '`different`: the entry of that number is another one. `missing`: the chain ends before it. Null: none was given, or the walk ended at the fault before it.'
      })
    )
  },
  { $id: 'AuditVerdict', additionalProperties: false }
)
export type AuditVerdict = Static<typeof AuditVerdict>
