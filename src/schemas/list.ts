import { Type, type TSchema } from '@sinclair/typebox'
import { nullable, ref } from './ref.ts'
import { idPattern } from './job.ts'
import { Problem } from './problem.ts'

/** Every list of the API: `{items, cursor}`; the cursor leads to the next page, null at the end. */
export const list = <T extends TSchema>(item: T) =>
  Type.Object(
    { items: Type.Array(ref(item)), cursor: nullable(Type.String()) },
    { additionalProperties: false }
  )

export const limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 }))
export const cursor = Type.Optional(
  Type.String({ pattern: '^[A-Za-z0-9._:-]{1,256}$', description: 'As the page before gave it.' })
)

export const JobParams = Type.Object(
  { id: Type.String({ pattern: idPattern }) },
  { additionalProperties: false }
)

/** The problems that an operation may answer, for its `response`. */
export function problems<const T extends readonly number[]>(...codes: T) {
  const problem = {
    description: 'Problem',
    content: { 'application/problem+json': { schema: ref(Problem) } }
  }
  return Object.fromEntries(codes.map((code) => [code, problem])) as unknown as Record<T[number], TSchema>
}
