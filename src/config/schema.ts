import { Type, type Static } from '@sinclair/typebox'
import { stringEnum } from '../schemas/ref.ts'
import { Issuer } from './issuers.ts'
import { Limits, rate } from './limits.ts'

const amount = Type.Unsafe<number | string>({
  type: ['number', 'string'],
  minimum: 0,
  pattern: '^[0-9.]+(m|Ki|Mi|Gi|Ti|k|M|G|T)?$'
})

/** roost.yaml. Every key may be left out; what is not here is refused by name. */
export const ConfigSchema = Type.Object(
  {
    host: Type.String({ default: '127.0.0.1', minLength: 1, description: 'Address to listen on.' }),
    port: Type.Integer({ default: 7070, minimum: 0, maximum: 65_535, description: '0 = any free port.' }),
    dataDir: Type.String({
      default: '',
      description: 'Where everything durable lives; default ~/.local/share/roost.'
    }),
    token: Type.String({ default: '', description: 'The admin token; better in tokenFile.' }),
    tokenFile: Type.String({ default: '', description: 'File that holds the admin token.' }),
    databaseUrl: Type.String({
      default: '',
      pattern: '^(postgres(ql)?://.*)?$',
      description: 'postgres://USER:PASSWORD@HOST:PORT/DATABASE; without it SQLite in the data directory.'
    }),
    allowedHosts: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Further Host names under which the service may be asked.'
    }),
    corsOrigins: Type.Array(
      Type.String({
        pattern: '^(\\*|https?://[^/*\\s]+)$',
        description: 'scheme://host[:port] without a path, or * alone for every origin'
      }),
      { default: [], description: 'Origins of pages that may call the API.' }
    ),
    trustProxy: Type.Array(
      Type.String({
        pattern: '^[0-9a-fA-F.:]+(/[0-9]{1,3})?$',
        description: 'an IP address or a network such as 10.0.0.0/8'
      }),
      { default: [], description: 'Proxies whose X-Forwarded-For is believed.' }
    ),
    jwt: Type.Array(Issuer, {
      default: [],
      description: 'Who else may vouch for a client: issuers of JWTs.'
    }),
    rateLimit: rate({
      default: 'off',
      description: 'off, or REQUESTS/SECONDS of each token, and of each address without one.'
    }),
    limits: Limits,
    metricsPort: Type.Union([Type.Integer({ minimum: 0, maximum: 65_535 }), Type.Null()], {
      default: null,
      description: 'Serves /metrics without a token on a port of its own.'
    }),
    logLevel: stringEnum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const, {
      default: 'info'
    }),
    otel: stringEnum(['on', 'off'] as const, {
      default: 'off',
      description: 'Spans by OpenTelemetry; where they go is said by the standard OTEL_… variables.'
    }),
    node: Type.Object(
      {
        name: Type.String({ default: '', description: 'Default: the host name.' }),
        labels: Type.Record(Type.String(), Type.String(), { default: {} })
      },
      { default: {}, additionalProperties: false }
    ),
    capacity: Type.Object(
      {
        cpu: Type.Optional(amount),
        memory: Type.Optional(amount),
        slots: Type.Optional(Type.Integer({ minimum: 0, description: 'Attempts at one time.' })),
        reserve: Type.Optional(
          Type.Object(
            { cpu: Type.Optional(amount), memory: Type.Optional(amount) },
            { additionalProperties: false }
          )
        )
      },
      { default: {}, additionalProperties: false }
    ),
    process: stringEnum(['on', 'off', 'auto'] as const, {
      default: 'auto',
      description:
        'Whether jobs run as local processes; auto: on, unless the service listens beyond loopback.'
    }),
    jobUser: Type.String({ default: '', description: 'The user that process jobs run as (needs root).' }),
    logCapBytes: Type.Integer({
      default: 256 * 2 ** 20,
      minimum: 1024,
      description: 'Most bytes of output kept for an attempt, each of stdout and stderr.'
    }),
    diskReserveBytes: Type.Integer({
      default: 64 * 2 ** 20,
      minimum: 0,
      description: 'No attempt starts with less free disk than this.'
    }),
    idempotencyKeptHours: Type.Number({
      default: 24,
      minimum: 1,
      maximum: 8760,
      description: 'How long an Idempotency-Key replays its first answer.'
    }),
    secretsDir: Type.String({ default: '', description: 'A folder with one file for each secret.' }),
    policiesFile: Type.String({
      default: '',
      description: 'What tenants and tokens may do (docs/policies.md); read again when it changes.'
    }),
    plugins: Type.Array(
      Type.Union([
        Type.String({ minLength: 1 }),
        Type.Object(
          {
            path: Type.String({ minLength: 1 }),
            options: Type.Optional(Type.Record(Type.String(), Type.Unknown()))
          },
          { additionalProperties: false }
        )
      ]),
      { default: [], description: 'Paths or packages, registered after the kernel.' }
    ),
    stopJobs: Type.Boolean({
      default: false,
      description: 'Whether a stop of the service ends its process jobs.'
    })
  },
  { additionalProperties: false }
)
export type Config = Static<typeof ConfigSchema>

/** How a value comes out of the environment or a flag: as text, a number, a comma-separated list, or JSON. */
export type Kind = 'text' | 'integer' | 'list' | 'flag' | 'json'

/** The environment's names (design §12, fixed) -> the key of the configuration. */
export const environment: Record<string, [key: keyof Config, kind: Kind]> = {
  ROOST_HOST: ['host', 'text'],
  ROOST_PORT: ['port', 'integer'],
  ROOST_DATA_DIR: ['dataDir', 'text'],
  ROOST_TOKEN: ['token', 'text'],
  ROOST_TOKEN_FILE: ['tokenFile', 'text'],
  ROOST_DATABASE_URL: ['databaseUrl', 'text'],
  ROOST_ALLOWED_HOSTS: ['allowedHosts', 'list'],
  ROOST_CORS_ORIGINS: ['corsOrigins', 'list'],
  ROOST_TRUST_PROXY: ['trustProxy', 'list'],
  ROOST_JWT: ['jwt', 'json'],
  ROOST_RATE_LIMIT: ['rateLimit', 'text'],
  ROOST_METRICS_PORT: ['metricsPort', 'integer'],
  ROOST_LOG_LEVEL: ['logLevel', 'text'],
  ROOST_OTEL: ['otel', 'text'],
  ROOST_PROCESS: ['process', 'text'],
  ROOST_JOB_USER: ['jobUser', 'text'],
  ROOST_SECRETS_DIR: ['secretsDir', 'text'],
  ROOST_POLICIES: ['policiesFile', 'text']
}

/** Names that others read (the launcher, the command, jobs, secrets) or that a later version will. */
export const foreignEnvironment =
  /^ROOST_(CONFIG|URL|CACHE_DIR|SECRET_.+|KIT_.+|HOME|JOB_ID|ATTEMPT|TASK_.+|PEERS|JOIN_TOKEN|OLLAMA_.+|OPENAI_.+|ANTHROPIC_.+|LOCAL_OPENAI_.+|EMBEDDING_MODEL|WEAVIATE_.+|MILVUS_.+|KUBERNETES.*|SPECKIT_ROOT|TAILSCALE_SOCKET)$/

/** Flags of `roost up` -> key. */
export const flags: Record<string, [key: keyof Config, kind: Kind]> = {
  '--host': ['host', 'text'],
  '--port': ['port', 'integer'],
  '--data-dir': ['dataDir', 'text'],
  '--log-level': ['logLevel', 'text'],
  '--stop-jobs': ['stopJobs', 'flag']
}

/** Keys whose values are never printed. */
export const secretKeys: readonly (keyof Config)[] = ['token', 'databaseUrl']
