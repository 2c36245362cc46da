import { Type, type Static } from '@sinclair/typebox'
import { map, nullable, stringEnum } from './ref.ts'

const time = (description: string) => Type.String({ format: 'date-time', description })

export const webhookEvents = ['job.succeeded', 'job.failed', 'job.cancelled'] as const
export const deliveryStates = ['pending', 'delivered', 'failed'] as const

export const WebhookDelivery = Type.Object(
  {
    id: Type.String({ description: 'The webhook-id of its requests: the same at every try.' }),
    type: stringEnum(webhookEvents),
    url: Type.String(),
    state: stringEnum(deliveryStates, {
      description: '`failed`: given up, after the last try or because the receiver answered 410.'
    }),
    attempts: Type.Integer({ minimum: 0, description: 'How many tries were made.' }),
    nextAttemptAt: nullable(time('When the next try is due; null where there is none.')),
    lastAttemptAt: nullable(time('When the last try ended.')),
    lastStatus: nullable(Type.Integer({ description: 'The HTTP status of the last answer.' })),
    lastError: nullable(Type.String({ description: 'Why the last try did not count as delivered.' })),
    createdAt: time('When the job ended.'),
    endedAt: nullable(time('When it was delivered or given up.'))
  },
  { $id: 'WebhookDelivery', additionalProperties: false }
)
export type WebhookDelivery = Static<typeof WebhookDelivery>

/** What a receiver gets when a job has ended. */
export const WebhookEvent = Type.Object(
  {
    type: stringEnum(webhookEvents),
    timestamp: time('When the job ended.'),
    data: Type.Object(
      {
        id: Type.String(),
        name: nullable(Type.String()),
        state: stringEnum(['succeeded', 'failed', 'cancelled'] as const),
        reason: nullable(Type.String()),
        message: nullable(Type.String()),
        exitCode: nullable(Type.Integer()),
        node: nullable(Type.String()),
        attempts: Type.Integer({ minimum: 0, description: 'How many there were.' }),
        labels: map('^.+$', Type.String()),
        tenant: Type.String(),
        createdAt: time('When it was submitted.'),
        startedAt: nullable(time('When its first attempt began to run.')),
        finishedAt: nullable(time('When it ended.'))
      },
      { additionalProperties: false }
    )
  },
  {
    $id: 'WebhookEvent',
    additionalProperties: false,
    description: 'Neither the command nor the environment of the job.'
  }
)
export type WebhookEvent = Static<typeof WebhookEvent>

export const WebhookSecret = Type.Object(
  {
    tenant: Type.String(),
    secret: Type.String({ description: 'whsec_ and base64: what a Standard Webhooks library takes.' })
  },
  { $id: 'WebhookSecret', additionalProperties: false }
)
