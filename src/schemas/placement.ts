import { Type, type Static } from '@sinclair/typebox'
import { Wait } from './queue.ts'
import { nullable, ref } from './ref.ts'

export const Placement = Type.Object(
  {
    choice: nullable(
      Type.String({ description: 'Id of the node chosen; null where none can take the job now.' })
    ),
    candidates: Type.Array(
      Type.Object(
        {
          node: Type.String(),
          name: Type.String(),
          runtime: Type.String(),
          score: Type.Number(),
          scores: Type.Record(Type.String(), Type.Number())
        },
        { additionalProperties: false }
      ),
      { description: 'Nodes that can take the job now, best first.' }
    ),
    filtered: Type.Array(
      Type.Object(
        {
          node: Type.String(),
          name: Type.String(),
          reasons: Type.Array(
            Type.Object(
              {
                code: Type.String({
                  description:
                    'insufficient-cpu, insufficient-memory, insufficient-gpu, no-slot, constraint, no-runtime, node, draining, locality, …'
                }),
                message: Type.String(),
                permanent: Type.Boolean({
                  description: 'True where waiting will not help: this node can never take the job as it is.'
                })
              },
              { additionalProperties: false }
            )
          )
        },
        { additionalProperties: false }
      ),
      { description: 'Nodes left out, each with every reason.' }
    ),
    queue: Type.Optional(
      nullable(ref(Wait), {
        description:
          'Of a dry run: why the job would wait, with the reason `preempting` where others would be ended for it now; null where it would start at once, or be refused.'
      })
    ),
    refusal: Type.Optional(
      nullable(
        Type.Object(
          {
            code: Type.String({ description: 'unplaceable, quota-exceeded or draining.' }),
            message: Type.String()
          },
          { additionalProperties: false }
        ),
        { description: 'Of a dry run: why the job would not be accepted now; null where it would be.' }
      )
    )
  },
  { $id: 'Placement', additionalProperties: false }
)
export type Placement = Static<typeof Placement>
