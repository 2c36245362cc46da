import { Type, type Static } from '@sinclair/typebox'
import { nullable, ref, stringEnum } from './ref.ts'

export const QueueNeed = Type.Object(
  {
    what: stringEnum(['cpu', 'memory', 'gpu', 'slots', 'quota', 'jobs', 'time', 'node'] as const, {
      description:
        'Cores, bytes, GPUs and attempts of the node; what a quota allows; jobs that must end first; seconds; a change of the node.'
    }),
    needed: Type.Number(),
    available: Type.Number({ description: 'What there is of it now.' }),
    message: Type.String({ description: 'The same in words, with the units.' })
  },
  { $id: 'QueueNeed', additionalProperties: false }
)
export type QueueNeed = Static<typeof QueueNeed>

export const Wait = Type.Object(
  {
    position: nullable(
      Type.Integer({
        minimum: 0,
        description:
          'How many jobs have their turn before it, counted a moment ago; null where that is more than 1,000 or the job is that new.'
      })
    ),
    reason: Type.String({
      description:
        'dependencies, a backoff’s cause, paused, draining, quota, preempting, reserved, queue, or what it lacks: insufficient-cpu, insufficient-memory, insufficient-gpu, no-slot, …'
    }),
    message: Type.String(),
    needs: Type.Array(ref(QueueNeed), {
      description: 'What would let it start; empty where that is not known.'
    }),
    startsBy: nullable(
      Type.String({
        format: 'date-time',
        description:
          'Of the next job that lacks room: when it starts at the latest, unless one with more right to the room comes.'
      })
    )
  },
  { $id: 'Wait', additionalProperties: false, description: 'Why a job waits.' }
)
export type Wait = Static<typeof Wait>

export const QueueItem = Type.Object(
  {
    position: Type.Integer({ minimum: 0, description: 'How many jobs have their turn before it.' }),
    jobId: Type.String(),
    name: nullable(Type.String()),
    tenant: Type.String(),
    priority: Type.Integer({ description: 'As submitted.' }),
    effectivePriority: Type.Number({
      description: 'The priority and what waiting has added to it; decides within the tenant.'
    }),
    share: Type.Number({
      description:
        'What its tenant holds now: the largest part of any resource of the node, divided by its weight. The tenant with the least goes first.'
    }),
    createdAt: Type.String({ format: 'date-time' }),
    reason: nullable(Type.String({ description: 'As in `Wait`; null where it is about to start.' })),
    message: nullable(Type.String()),
    needs: Type.Array(ref(QueueNeed), { description: 'What would let it start.' }),
    startsBy: nullable(Type.String({ format: 'date-time' })),
    waitingFor: Type.Array(Type.String(), { description: 'Jobs that must succeed first.' }),
    notBefore: nullable(Type.String({ format: 'date-time', description: 'When its backoff ends.' }))
  },
  { $id: 'QueueItem', additionalProperties: false, description: 'A waiting job.' }
)
export type QueueItem = Static<typeof QueueItem>
