import { resolve } from 'node:path'
import type { Flags, Values } from './command.ts'
import { UsageError } from './exit.ts'
import { readText } from './read-text.ts'
import type { JobSpec, Schemas } from './session.ts'
import { parseDuration, parseInteger, parsePair } from './units.ts'

/** Flags that say what a job is; `run` and `plan` share them. */
export const jobFlags = {
  name: { type: 'string', short: 'n', value: 'NAME', help: 'name of the job, a DNS label' },
  image: { type: 'string', value: 'IMAGE', help: 'run CMD in a container of this image' },
  env: {
    type: 'string',
    short: 'e',
    value: 'K=V',
    multiple: true,
    help: "a variable of the job; K alone takes the shell's value"
  },
  secret: {
    type: 'string',
    value: 'ENV=NAME',
    multiple: true,
    help: 'a variable that holds a secret; NAME alone names both'
  },
  cpu: { type: 'string', value: 'CORES', help: 'cores it asks for: 0.5 or 500m' },
  memory: { type: 'string', short: 'm', value: 'SIZE', help: 'memory it asks for: 256Mi, 2Gi' },
  gpu: { type: 'string', value: 'N', help: 'whole GPUs' },
  'limit-cpu': { type: 'string', value: 'CORES', help: 'most cores it may use' },
  'limit-memory': { type: 'string', value: 'SIZE', help: 'most memory it may use' },
  label: { type: 'string', short: 'l', value: 'K=V', multiple: true, help: 'a label of the job' },
  constraint: {
    type: 'string',
    value: 'EXPR',
    multiple: true,
    help: 'which nodes: arch=amd64,arm64  zone!=a  ssd  !slow  cores>4  cores<16'
  },
  node: { type: 'string', value: 'NODE', help: 'this node only' },
  locality: { type: 'string', choices: ['prefer-local', 'local-only', 'any'], help: 'how far it may go' },
  priority: { type: 'string', short: 'p', value: 'N', help: '0 to 100, larger first (default 50)' },
  preemptible: { type: 'boolean', help: 'may be ended for a job of higher priority' },
  timeout: { type: 'string', short: 't', value: 'TIME', help: 'ended after this: 90, 30s, 2h (default 1h)' },
  retries: { type: 'string', value: 'N', help: 'further attempts after a failure' },
  attempts: { type: 'string', value: 'N', help: 'attempts in all (retries + 1)' },
  'on-node-loss': { type: 'string', choices: ['wait', 'restart', 'fail'], help: 'when its node goes silent' },
  'depends-on': {
    type: 'string',
    value: 'ID|NAME',
    multiple: true,
    help: 'starts when these jobs have succeeded'
  },
  webhook: { type: 'string', value: 'URL', help: 'called, signed, when the job has ended' },
  'webhook-secret': {
    type: 'string',
    value: 'NAME',
    help: "the secret that signs it (default: the tenant's own key)"
  },
  ttl: { type: 'string', value: 'TIME', help: 'kept this long after its end (default 7d)' },
  cwd: {
    type: 'string',
    short: 'C',
    value: 'DIR',
    help: 'folder it runs in (default: this one); none = one of its own'
  },
  stdin: { type: 'string', value: 'FILE', help: 'what it reads; - = what this command reads' }
} as const satisfies Flags

export type JobValues = Values<typeof jobFlags>

export interface Surroundings {
  env: NodeJS.ProcessEnv
  stdin: NodeJS.ReadStream
  cwd: string
  /** Whether the service sees the same files as the command. */
  isLocal: boolean
}

/** The job that the flags and the command describe. Throws a {@link UsageError} that names the flag at fault. */
export async function readSpec(
  values: JobValues,
  command: readonly string[],
  around: Surroundings
): Promise<JobSpec> {
  const spec: JobSpec = { ...optionsOf(values, around.env), task: await readTask(values, command, around) }
  return spec
}

async function readTask(
  values: JobValues,
  command: readonly string[],
  { stdin, cwd, isLocal }: Surroundings
): Promise<JobSpec['task']> {
  if (values.image !== undefined) {
    for (const flag of ['cwd', 'stdin'] as const)
      if (values[flag] !== undefined) throw new UsageError(`--${flag} is for process jobs, not for --image`)
    // As "docker run IMAGE CMD": the image's entrypoint stays, the command are its arguments.
    return { type: 'container', image: values.image, ...(command.length === 0 ? {} : { args: [...command] }) }
  }
  if (command.length === 0)
    throw new UsageError('There is no command to run', 'For example: roost run -- echo hello')
  const folder =
    values.cwd === 'none'
      ? null
      : values.cwd === undefined
        ? isLocal
          ? cwd
          : null
        : isLocal
          ? resolve(cwd, values.cwd)
          : values.cwd
  if (folder !== null && !folder.startsWith('/'))
    throw new UsageError('--cwd must be an absolute path where the service runs on another machine')
  return {
    type: 'process',
    command: [...command],
    ...(folder === null ? {} : { cwd: folder }),
    ...(values.stdin === undefined ? {} : { stdin: await readText(values.stdin, stdin, '--stdin') })
  }
}

/** Everything but the task. */
function optionsOf(values: JobValues, env: NodeJS.ProcessEnv): Omit<JobSpec, 'task'> {
  const spec: Omit<JobSpec, 'task'> = {}
  if (values.name !== undefined) spec.name = values.name
  if (values.env !== undefined)
    spec.env = Object.fromEntries(values.env.map((text) => readVariable(text, env)))
  if (values.secret !== undefined)
    spec.secrets = Object.fromEntries(
      values.secret.map((text) => (text.includes('=') ? parsePair(text, '--secret') : [text, text]))
    )
  if (values.label !== undefined)
    spec.labels = Object.fromEntries(values.label.map((text) => parsePair(text, '--label')))
  const resources = amounts(values.cpu, values.memory)
  if (values.gpu !== undefined) resources.gpu = parseInteger(values.gpu, '--gpu', 0)
  if (Object.keys(resources).length > 0) spec.resources = resources
  const limits = amounts(values['limit-cpu'], values['limit-memory'])
  if (Object.keys(limits).length > 0) spec.limits = limits
  if (values.constraint !== undefined) spec.constraints = values.constraint.map(parseConstraint)
  if (values.node !== undefined || values.locality !== undefined) {
    spec.placement = {
      ...(values.node === undefined ? {} : { node: values.node }),
      ...(values.locality === undefined
        ? {}
        : { locality: values.locality as NonNullable<NonNullable<JobSpec['placement']>['locality']> })
    }
  }
  if (values.priority !== undefined) spec.priority = parseInteger(values.priority, '--priority', 0, 100)
  if (values.preemptible === true) spec.preemptible = true
  if (values.timeout !== undefined) spec.timeoutSeconds = parseDuration(values.timeout, '--timeout')
  const maxAttempts = readAttempts(values)
  if (maxAttempts !== null) spec.retry = { maxAttempts }
  if (values['on-node-loss'] !== undefined)
    spec.onNodeLoss = values['on-node-loss'] as NonNullable<JobSpec['onNodeLoss']>
  if (values['depends-on'] !== undefined)
    spec.dependsOn = values['depends-on'].flatMap((ids) => ids.split(','))
  if (values.webhook !== undefined) {
    const secret = values['webhook-secret']
    spec.webhook = { url: values.webhook, ...(secret === undefined ? {} : { secret }) }
  } else if (values['webhook-secret'] !== undefined) {
    throw new UsageError('--webhook-secret belongs to --webhook URL')
  }
  if (values.ttl !== undefined) spec.ttlSecondsAfterFinished = Math.round(parseDuration(values.ttl, '--ttl'))
  return spec
}

function readVariable(text: string, env: NodeJS.ProcessEnv): [name: string, value: string] {
  if (text.includes('=')) return parsePair(text, '--env')
  const value = env[text]
  if (value === undefined)
    throw new UsageError(
      `--env ${text}: this shell has no variable ${text}`,
      `Give a value: --env ${text}=VALUE`
    )
  return [text, value]
}

const amounts = (cpu: string | undefined, memory: string | undefined): Schemas['Limits'] => ({
  ...(cpu === undefined ? {} : { cpu }),
  ...(memory === undefined ? {} : { memory })
})

function readAttempts({ retries, attempts }: JobValues): number | null {
  if (retries !== undefined && attempts !== undefined)
    throw new UsageError('--retries and --attempts say the same; give one')
  if (attempts !== undefined) return parseInteger(attempts, '--attempts', 1, 1000)
  return retries === undefined ? null : parseInteger(retries, '--retries', 0, 999) + 1
}

const key = '[A-Za-z0-9][A-Za-z0-9._/-]*'

/** `key=a,b`, `key!=a,b`, `key`, `!key`, `key>4`, `key<4`. */
export function parseConstraint(text: string): Schemas['Constraint'] {
  const [, name, operator, list] = new RegExp(`^(${key})\\s*(!=|=|>|<)\\s*(.+)$`).exec(text) ?? []
  if (name !== undefined) {
    const values = list!.split(',').map((value) => value.trim())
    return {
      key: name,
      operator: ({ '=': 'In', '!=': 'NotIn', '>': 'Gt', '<': 'Lt' } as const)[
        operator as '=' | '!=' | '>' | '<'
      ],
      values
    }
  }
  const [, not, only] = new RegExp(`^(!?)(${key})$`).exec(text) ?? []
  if (only === undefined) {
    throw new UsageError(
      `--constraint must be key=a,b  key!=a,b  key  !key  key>4 or key<4; got ${JSON.stringify(text)}`
    )
  }
  return { key: only, operator: not === '!' ? 'DoesNotExist' : 'Exists' }
}
