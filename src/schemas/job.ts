import { Type, type Static } from '@sinclair/typebox'
import { map, nullable, ref, stringEnum } from './ref.ts'
import { Placement } from './placement.ts'

export const jobStates = ['queued', 'scheduled', 'running', 'succeeded', 'failed', 'cancelled'] as const
export type JobState = (typeof jobStates)[number]
export const JobState = stringEnum(jobStates, { $id: 'JobState' })

export const attemptStates = [
  'reserved',
  'starting',
  'running',
  'unknown',
  'succeeded',
  'failed',
  'evicted',
  'cancelled',
  'lost'
] as const
export type AttemptState = (typeof attemptStates)[number]
export const AttemptState = stringEnum(attemptStates, { $id: 'AttemptState' })

export const scopes = [
  'read:jobs',
  'write:jobs',
  'llm:invoke',
  'context:read',
  'context:write',
  'admin'
] as const
export type Scope = (typeof scopes)[number]
export const Scope = stringEnum(scopes, { $id: 'Scope' })

// A union type with its own bounds gives one clear message each; `anyOf` would give three vague ones.
export const cpu = Type.Unsafe<number | string>({
  type: ['number', 'string'],
  minimum: 0,
  maximum: 100_000,
  pattern: '^[0-9]{1,6}(\\.[0-9]{1,3}|m)?$',
  description: 'Cores: 0.5, "0.5" or "500m".'
})
export const memory = Type.Unsafe<number | string>({
  type: ['integer', 'string'],
  minimum: 0,
  maximum: 2 ** 50,
  pattern: '^[0-9]{1,15}(\\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$',
  description: 'Bytes, or a number with Ki, Mi, Gi, Ti, k, M, G or T.'
})
export const gpu = Type.Integer({
  minimum: 0,
  maximum: 1024,
  description: 'Whole GPUs; two jobs never share one unasked.'
})

export const Resources = Type.Object(
  {
    cpu: Type.Optional(Type.Unsafe<number | string>({ ...cpu, default: 0.1 })),
    memory: Type.Optional(Type.Unsafe<number | string>({ ...memory, default: '64Mi' })),
    gpu: Type.Optional({ ...gpu, default: 0 })
  },
  {
    $id: 'Resources',
    additionalProperties: false,
    description: 'Requests, for placement. Hard limits come from `limits`.'
  }
)
export type Resources = Static<typeof Resources>

export const Limits = Type.Object(
  { cpu: Type.Optional(cpu), memory: Type.Optional(memory), gpu: Type.Optional(gpu) },
  {
    $id: 'Limits',
    additionalProperties: false,
    description: 'Hard limits, by cgroup v2 or v1 where the node may set them.'
  }
)
export type Limits = Static<typeof Limits>

const argument = Type.String({ maxLength: 131_072 })

export const ProcessTask = Type.Object(
  {
    type: Type.Literal('process'),
    command: Type.Array(argument, {
      minItems: 1,
      maxItems: 4096,
      description: 'The program and its arguments; no shell is added.'
    }),
    cwd: Type.Optional(
      nullable(
        Type.String({
          minLength: 1,
          maxLength: 4096,
          pattern: '^/',
          description: 'Absolute path; without it the job gets a folder of its own.'
        })
      )
    ),
    stdin: Type.Optional(
      nullable(Type.String({ description: 'Text given to the program as standard input.' }))
    )
  },
  { $id: 'ProcessTask', additionalProperties: false }
)
export type ProcessTask = Static<typeof ProcessTask>

export const ContainerTask = Type.Object(
  {
    type: Type.Literal('container'),
    image: Type.String({ minLength: 1, maxLength: 512 }),
    command: Type.Optional(Type.Array(argument, { maxItems: 4096 })),
    args: Type.Optional(Type.Array(argument, { maxItems: 4096 }))
  },
  { $id: 'ContainerTask', additionalProperties: false }
)

export const LlmTask = Type.Object(
  {
    type: Type.Literal('llm'),
    model: Type.String({ minLength: 1, maxLength: 256 }),
    messages: Type.Array(
      Type.Object(
        { role: stringEnum(['system', 'user', 'assistant', 'tool'] as const), content: Type.String() },
        { additionalProperties: false }
      ),
      { minItems: 1, maxItems: 10_000 }
    ),
    options: Type.Optional(Type.Record(Type.String(), Type.Unknown()))
  },
  { $id: 'LlmTask', additionalProperties: false }
)

// Runtimes of plugins bring task types of their own; the slash keeps them apart from Roost's, present and to come.
export const ExtensionTask = Type.Object(
  {
    type: Type.String({
      pattern: '^[a-z0-9-]{1,40}/[a-z0-9-]{1,40}$',
      description: 'plugin/kind, checked by the runtime that takes it.'
    })
  },
  { $id: 'ExtensionTask', additionalProperties: true }
)

export const Task = Type.Union([ref(ProcessTask), ref(ContainerTask), ref(LlmTask), ref(ExtensionTask)], {
  $id: 'Task'
})
export type Task = Static<typeof Task>

export const constraintOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'] as const
export const Constraint = Type.Object(
  {
    key: Type.String({ minLength: 1, maxLength: 128 }),
    operator: stringEnum(constraintOperators),
    values: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 256 }))
  },
  { $id: 'Constraint', additionalProperties: false, description: 'A condition on a label of the node.' }
)
export type Constraint = Static<typeof Constraint>

export const retryCauses = ['failure', 'node-lost', 'timeout'] as const
export type RetryCause = (typeof retryCauses)[number]
export const Retry = Type.Object(
  {
    maxAttempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 1 })),
    backoffSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400, default: 1 })),
    maxBackoffSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400, default: 60 })),
    on: Type.Optional(Type.Array(stringEnum(retryCauses), { uniqueItems: true, default: [...retryCauses] }))
  },
  { $id: 'Retry', additionalProperties: false }
)
export type Retry = Static<typeof Retry>

const labelMap = (valueLength: number) =>
  map('^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$', Type.String({ maxLength: valueLength }), {
    maxProperties: 256
  })

export const idPattern = '^[0-9a-hjkmnp-tv-z]{26}$'
export const JobId = Type.String({
  $id: 'JobId',
  pattern: idPattern,
  description: 'Time-ordered, lower-case, safe in a DNS label.'
})

const environmentName = '^[A-Za-z_][A-Za-z0-9_]{0,255}$'
export const secretNamePattern = '^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$'

export const JobSpec = Type.Object(
  {
    name: Type.Optional(
      Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$', description: 'A DNS label.' })
    ),
    task: ref(Task),
    env: Type.Optional(map(environmentName, Type.String({ maxLength: 131_072 }), { maxProperties: 1024 })),
    secrets: Type.Optional(
      map(environmentName, Type.String({ pattern: secretNamePattern }), {
        maxProperties: 256,
        description: 'Environment name -> name of a secret. Values are never stored with the job.'
      })
    ),
    resources: Type.Optional({ ...ref(Resources), default: {} }),
    limits: Type.Optional(ref(Limits)),
    labels: Type.Optional(labelMap(256)),
    constraints: Type.Optional(Type.Array(ref(Constraint), { maxItems: 64 })),
    placement: Type.Optional(
      Type.Object(
        {
          locality: Type.Optional(
            stringEnum(['prefer-local', 'local-only', 'any'] as const, { default: 'prefer-local' })
          ),
          node: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 128 })))
        },
        { additionalProperties: false }
      )
    ),
    priority: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, default: 50, description: 'Larger first.' })
    ),
    timeoutSeconds: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 31_536_000,
        description: 'Of one attempt. Default: 3600, or what a policy says.'
      })
    ),
    retry: Type.Optional({ ...ref(Retry), default: {} }),
    onNodeLoss: Type.Optional(
      stringEnum(['wait', 'restart', 'fail'] as const, {
        description: 'Default: wait; restart where retry.maxAttempts is above 1.'
      })
    ),
    dependsOn: Type.Optional(
      Type.Array(Type.String({ pattern: idPattern }), { maxItems: 1000, uniqueItems: true })
    ),
    workspace: Type.Optional(Type.String({ pattern: '^sha256:[0-9a-f]{64}$' })),
    outputs: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { maxItems: 256 })),
    webhook: Type.Optional(
      Type.Object(
        {
          url: Type.String({
            minLength: 1,
            maxLength: 2048,
            description: 'Where a signed POST goes when the job has ended; policy must allow the host.'
          }),
          secret: Type.Optional(
            Type.String({
              pattern: secretNamePattern,
              description: "Name of the secret that signs it. Default: the tenant's own."
            })
          )
        },
        { additionalProperties: false, description: 'A callback at the end of the job (Standard Webhooks).' }
      )
    ),
    preemptible: Type.Optional(Type.Boolean({ default: false })),
    ttlSecondsAfterFinished: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 315_360_000, default: 604_800 })
    )
  },
  { $id: 'JobSpec', additionalProperties: false }
)
export type JobSpec = Static<typeof JobSpec>

const time = Type.String({ format: 'date-time' })

export const Attempt = Type.Object(
  {
    number: Type.Integer({ minimum: 1, description: 'Counts up; the fencing token.' }),
    state: ref(AttemptState),
    node: Type.String(),
    runtime: Type.String(),
    pod: nullable(
      Type.String({ description: 'The name of the workload in its runtime: roost-<job id>-<attempt>.' })
    ),
    exitCode: nullable(Type.Integer()),
    signal: nullable(Type.String()),
    reason: nullable(Type.String()),
    startedAt: nullable(time),
    finishedAt: nullable(time)
  },
  { $id: 'Attempt', additionalProperties: false }
)
export type Attempt = Static<typeof Attempt>

export const JobResult = Type.Object(
  { exitCode: nullable(Type.Integer()), output: Type.Unknown() },
  { $id: 'JobResult', additionalProperties: false }
)
export type JobResult = Static<typeof JobResult>

export const Job = Type.Object(
  {
    id: ref(JobId),
    name: nullable(Type.String()),
    state: ref(JobState),
    reason: nullable(Type.String({ description: 'A code in one word: why it waits, or how it ended.' })),
    message: nullable(Type.String({ description: 'The same for a person, with what would change it.' })),
    spec: ref(JobSpec),
    node: nullable(Type.String()),
    attempts: Type.Array(ref(Attempt)),
    placement: nullable(ref(Placement)),
    result: nullable(ref(JobResult)),
    createdAt: time,
    startedAt: nullable(time),
    finishedAt: nullable(time),
    lastSeq: Type.Integer({ minimum: 0 }),
    tenant: Type.String()
  },
  { $id: 'Job', additionalProperties: false }
)
export type Job = Static<typeof Job>
