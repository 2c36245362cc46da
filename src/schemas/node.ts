import { Type, type Static } from '@sinclair/typebox'
import { nullable, ref, stringEnum } from './ref.ts'

const amount = (unit: string) =>
  Type.Object(
    {
      total: Type.Number({ description: `What the node has (${unit}); limits of its cgroup respected.` }),
      allocatable: Type.Number({ description: 'Total minus the reserve.' }),
      requested: Type.Number({ description: 'Promised to attempts that have not ended.' }),
      used: Type.Number({ description: 'Measured now.' })
    },
    { additionalProperties: false }
  )

export const Gpu = Type.Object(
  {
    index: Type.Integer({ minimum: 0 }),
    id: Type.String(),
    name: Type.String(),
    memoryBytes: Type.Integer({ minimum: 0 }),
    jobId: nullable(Type.String())
  },
  { $id: 'Gpu', additionalProperties: false }
)
export type Gpu = Static<typeof Gpu>

export const Capacity = Type.Object(
  {
    cpu: amount('cores'),
    memory: amount('bytes'),
    gpu: Type.Array(ref(Gpu)),
    slots: Type.Object(
      { total: Type.Integer(), allocatable: Type.Integer(), requested: Type.Integer(), used: Type.Integer() },
      { additionalProperties: false, description: 'Attempts at one time.' }
    )
  },
  { $id: 'Capacity', additionalProperties: false }
)
export type Capacity = Static<typeof Capacity>

export const nodeStates = ['ready', 'draining', 'drained', 'unknown', 'left'] as const
export const NodeStatus = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    version: Type.String(),
    os: Type.String(),
    arch: Type.String(),
    state: stringEnum(nodeStates),
    labels: Type.Record(Type.String(), Type.String()),
    runtimes: Type.Array(Type.String()),
    taskTypes: Type.Array(Type.String()),
    capacity: nullable(ref(Capacity)),
    local: Type.Boolean({ description: 'True for the node that answers.' }),
    seenAt: Type.String({ format: 'date-time' })
  },
  { $id: 'Node', additionalProperties: false }
)
export type NodeStatus = Static<typeof NodeStatus>

export const Health = Type.Object(
  {
    status: stringEnum(['ok', 'degraded', 'draining', 'paused'] as const),
    node: Type.Object(
      {
        id: Type.String(),
        name: Type.String(),
        version: Type.String(),
        os: Type.String(),
        arch: Type.String(),
        labels: Type.Record(Type.String(), Type.String()),
        runtimes: Type.Array(Type.String())
      },
      { additionalProperties: false }
    ),
    reasons: Type.Optional(
      Type.Array(Type.String(), { description: 'Why the status is not ok, and what to do.' })
    ),
    // The members below need read:jobs; without it they are left out.
    capacity: Type.Optional(ref(Capacity)),
    limits: Type.Optional(
      Type.String({
        description: 'How hard limits are set here: cgroup-v2, cgroup-v1, or none with the reason.'
      })
    ),
    queue: Type.Optional(
      Type.Object({ depth: Type.Integer(), oldestSeconds: Type.Number() }, { additionalProperties: false })
    ),
    peers: Type.Optional(
      Type.Object(
        { alive: Type.Integer(), suspect: Type.Integer(), dead: Type.Integer() },
        { additionalProperties: false }
      )
    ),
    providers: Type.Optional(
      Type.Array(Type.Object({ name: Type.String(), state: Type.String() }, { additionalProperties: false }))
    ),
    storage: Type.Optional(
      Type.Object(
        {
          dialect: Type.String(),
          writable: Type.Boolean(),
          schemaVersion: Type.Integer(),
          bytes: nullable(Type.Integer()),
          message: nullable(Type.String())
        },
        { additionalProperties: false }
      )
    )
  },
  { $id: 'Health', additionalProperties: false }
)
export type Health = Static<typeof Health>

export const Pod = Type.Object(
  {
    name: Type.String(),
    namespace: nullable(Type.String()),
    node: Type.String(),
    runtime: Type.String(),
    phase: Type.String(),
    jobId: nullable(Type.String()),
    attempt: nullable(Type.Integer()),
    startedAt: nullable(Type.String({ format: 'date-time' })),
    restarts: Type.Integer(),
    resources: Type.Object(
      { cpu: Type.Number(), memory: Type.Number(), gpu: Type.Number() },
      { additionalProperties: false }
    )
  },
  { $id: 'Pod', additionalProperties: false, description: 'A workload of any runtime.' }
)
export type Pod = Static<typeof Pod>
