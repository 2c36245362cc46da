import { Type, type TSchema } from '@sinclair/typebox'
import { nullable, ref } from './ref.ts'
import { idPattern } from './job.ts'

/** Every list of the API: `{items, cursor}`; the cursor leads to the next page, null at the end. */
export const list = <T extends TSchema>(item: T, description: string) =>
  Type.Object(
    {
      items: Type.Array(ref(item)),
      cursor: nullable(Type.String({ description: 'Leads to the next page; null at the end.' }))
    },
    { additionalProperties: false, description }
  )

export const limit = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Most items in the answer.' })
)
export const cursor = Type.Optional(
  Type.String({ pattern: '^[A-Za-z0-9._:-]{1,256}$', description: 'As the page before gave it.' })
)

export const JobParams = Type.Object(
  { id: Type.String({ pattern: idPattern, description: 'The id of a job.' }) },
  { additionalProperties: false }
)
