import { Type, type Static } from '@sinclair/typebox'
import { cpu, gpu, JobSpec, memory } from './job.ts'
import { map, nullable, ref, stringEnum } from './ref.ts'

const glob = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: '^[^!]',
  description: 'A glob: * ? [ab] {a,b} **; no "!".'
})
const globs = (description: string) =>
  Type.Optional(Type.Array(glob, { minItems: 1, maxItems: 1000, description }))
const count = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000, description }))
const described = (schema: typeof cpu, description: string) =>
  Type.Optional(
    Type.Unsafe<number | string>({ ...schema, description: `${description} ${schema.description ?? ''}` })
  )
const labelKey = '^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$'

const quotaOf = (whose: string) =>
  Type.Object(
    {
      running: count(`Attempts of ${whose} that are not over. A job over it waits.`),
      queued: count(`Jobs of ${whose} that wait, the new one included. A job over it is refused.`),
      cpu: described(cpu, `Cores requested by attempts of ${whose} that are not over.`),
      memory: described(memory, `Memory requested by attempts of ${whose} that are not over.`),
      gpu: count(`GPUs held by attempts of ${whose} that are not over.`),
      submissionsPerMinute: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 100_000,
          description: `Jobs of ${whose} accepted in any 60 seconds.`
        })
      ),
      logBytes: described(
        memory,
        `Output kept in the logs of ${whose}'s jobs. What is over is dropped and told.`
      )
    },
    { additionalProperties: false, description: `Bounds on what ${whose} has at one time.` }
  )

export const Policy = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$',
      description: 'Refusals name it: letters, digits, spaces, dots, dashes.'
    }),
    tenants: Type.Array(glob, {
      minItems: 1,
      maxItems: 1000,
      description: 'Tenants that it applies to, as globs; "*" is all of them.'
    }),
    tokens: globs('Only for jobs of these tokens: ids or names, as globs. Without it: of all.'),
    weight: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1000,
        description: 'Share of the machine relative to other tenants that wait; 1 without it.'
      })
    ),
    user: Type.Optional(
      Type.String({
        pattern: '^([a-z_][a-z0-9_-]{0,31}|[a-z_][a-z0-9_-]*\\{tenant\\}[a-z0-9_-]*)$',
        description:
          'The account of this machine that process jobs run as (the service must be root). Two tenants never share one: name a single tenant, or put {tenant} into the name.'
      })
    ),
    quota: Type.Optional(quotaOf('each tenant')),
    tokenQuota: Type.Optional(quotaOf('each token')),
    allow: Type.Optional(
      Type.Object(
        {
          taskTypes: globs('Types of tasks, such as container or worker/*.'),
          images: globs('Images of container tasks; ** goes over slashes.'),
          env: globs('Names in env and secrets.'),
          nodes: Type.Optional(
            map(labelKey, Type.Array(Type.String({ maxLength: 256 }), { minItems: 1, maxItems: 256 }), {
              minProperties: 1,
              maxProperties: 64,
              description:
                'Labels that a node must have, each with the values that will do; added to the job’s constraints.'
            })
          )
        },
        { additionalProperties: false, description: 'What is not in a list that is here is refused.' }
      )
    ),
    job: Type.Optional(
      Type.Object(
        {
          cpu: described(cpu, 'Cores.'),
          memory: described(memory, 'Memory.'),
          gpu: Type.Optional({ ...gpu, description: 'GPUs.' }),
          timeoutSeconds: Type.Optional(
            Type.Number({
              exclusiveMinimum: 0,
              maximum: 31_536_000,
              description: 'The longest time of an attempt.'
            })
          ),
          logBytes: described(memory, 'Output kept of an attempt, each of stdout and stderr.')
        },
        {
          additionalProperties: false,
          description: 'The most that one job may ask, by resources and by limits.'
        }
      )
    ),
    defaults: Type.Optional(
      Type.Object(
        {
          timeoutSeconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 31_536_000 })),
          limits: Type.Optional(
            Type.Object(
              { cpu: described(cpu, 'Cores.'), memory: described(memory, 'Memory.') },
              { additionalProperties: false, description: 'Hard limits by cgroup, where the job names none.' }
            )
          )
        },
        { additionalProperties: false, description: 'What a job gets that does not say; the smallest wins.' }
      )
    ),
    eviction: Type.Optional(
      Type.Object(
        {
          minRunSeconds: Type.Optional(
            Type.Number({
              minimum: 0,
              maximum: 31_536_000,
              description: 'An attempt runs this long before it may be evicted.'
            })
          ),
          protectedLabels: globs('Jobs with such a label, as key=value globs, are never evicted.')
        },
        { additionalProperties: false }
      )
    ),
    preemption: Type.Optional(
      Type.Object(
        {
          maxPerJob: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 1000,
              description: 'How often a preemptible job may be put back; 0: never.'
            })
          ),
          graceSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 3600 }))
        },
        { additionalProperties: false }
      )
    ),
    webhooks: Type.Optional(
      Type.Object(
        {
          hosts: globs('Names of hosts that may be called, without scheme and port.'),
          addresses: Type.Optional(
            Type.Array(
              Type.String({
                pattern: '^[0-9a-fA-F.:]+(/[0-9]{1,3})?$',
                description: 'An address or a network, such as 10.0.0.0/8.'
              }),
              { minItems: 1, maxItems: 1000, description: 'Private addresses that such a host may have.' }
            )
          ),
          http: Type.Optional(
            Type.Boolean({ default: false, description: 'Whether plain http may be used, too.' })
          )
        },
        { additionalProperties: false, description: 'Without it nothing may be called.' }
      )
    )
  },
  { $id: 'Policy', additionalProperties: false }
)
export type Policy = Static<typeof Policy>

/** The policy file. */
export const PolicyFile = Type.Object(
  { policies: Type.Array(ref(Policy), { maxItems: 10_000 }) },
  { additionalProperties: false }
)
export type PolicyFile = Static<typeof PolicyFile>

const time = Type.String({ format: 'date-time' })

export const PolicyStatus = Type.Object(
  {
    file: nullable(
      Type.String({ description: 'Null where no file is configured: then nothing is restricted.' })
    ),
    hash: nullable(Type.String({ description: 'SHA-256 of the file in force.' })),
    loadedAt: nullable(time),
    error: nullable(
      Type.Object(
        {
          at: time,
          problems: Type.Array(
            Type.String({ description: 'Line, key, what is wrong and what would be right.' })
          )
        },
        {
          additionalProperties: false,
          description: 'Why the file as it is now is not in force; null where it is.'
        }
      )
    ),
    policies: Type.Array(ref(Policy))
  },
  { $id: 'PolicyStatus', additionalProperties: false }
)
export type PolicyStatus = Static<typeof PolicyStatus>

export const policyVerdicts = ['allowed', 'refused', 'waits'] as const

export const PolicyCheck = Type.Object(
  {
    policy: nullable(Type.String({ description: 'Null where no policy speaks of it, and one must.' })),
    rule: Type.String({ description: 'The key of the policy, such as allow.images or quota.queued.' }),
    verdict: stringEnum(policyVerdicts),
    value: Type.Union([Type.String(), Type.Number(), Type.Null()], {
      description: 'What the job asks, or what there would be with it.'
    }),
    limit: Type.Union([Type.String(), Type.Number(), Type.Array(Type.String())], {
      description: 'The bound.'
    }),
    message: Type.String()
  },
  { $id: 'PolicyCheck', additionalProperties: false }
)
export type PolicyCheck = Static<typeof PolicyCheck>

export const PolicyExplanation = Type.Object(
  {
    tenant: Type.String(),
    token: Type.String({ description: 'The id of the token.' }),
    allowed: Type.Boolean({ description: 'Whether the job would be accepted now.' }),
    policies: Type.Array(Type.String(), { description: 'Names of the policies that apply.' }),
    checks: Type.Array(ref(PolicyCheck)),
    spec: ref(JobSpec)
  },
  {
    $id: 'PolicyExplanation',
    additionalProperties: false,
    description: 'What the policies say of a job; `spec` is the job as it would be stored.'
  }
)
export type PolicyExplanation = Static<typeof PolicyExplanation>
