import { Type, type Static } from '@sinclair/typebox'
import { stringEnum } from './ref.ts'

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A URI reference: /docs/errors#<code>.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    detail: Type.Optional(Type.String({ description: 'What happened, to what, and what to do.' })),
    instance: Type.Optional(Type.String()),
    requestId: Type.Optional(Type.String()),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            pointer: Type.String({
              description: 'JSON pointer to the field at fault, within the part named by `in`.'
            }),
            in: stringEnum(['body', 'query', 'path', 'header'] as const),
            message: Type.String()
          },
          { additionalProperties: false }
        )
      )
    )
  },
  // Codes may add members of their own (RFC 9457 §3.2), such as `placement` of `unplaceable`.
  { $id: 'Problem', additionalProperties: true, description: 'RFC 9457 problem details.' }
)
export type Problem = Static<typeof Problem>
export type FieldError = NonNullable<Problem['errors']>[number]
