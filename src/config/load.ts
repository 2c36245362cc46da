import { readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import type * as Yaml from 'yaml'
import { networkFault } from '../addresses.ts'
import { distance, toFieldErrors } from '../validation.ts'
import { faultsOfIssuers } from './issuers.ts'
import {
  ConfigSchema,
  environment,
  flags,
  foreignEnvironment,
  secretKeys,
  type Config,
  type Kind
} from './schema.ts'

/** A start that cannot go on: every line names a key, what was wrong and what would be right. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

export interface LoadedConfig {
  config: Config
  /** Where each key that is no default came from. */
  sources: Record<string, string>
  file: string | null
}

/** Defaults < roost.yaml < ROOST_* < flags. Throws a {@link ConfigError} with everything that is wrong at once. */
export function loadConfig(argv: readonly string[], env: NodeJS.ProcessEnv): LoadedConfig {
  const problems: string[] = []
  const sources: Record<string, string> = {}
  const given: Record<string, unknown> = {}
  const fromFlags = readFlags(argv, problems)
  const file = fromFlags.config ?? env['ROOST_CONFIG'] ?? null
  const readFrom = file === null ? null : resolve(file)
  if (readFrom !== null) {
    for (const [key, value] of Object.entries(readYaml(readFrom, problems))) {
      given[key] = value
      sources[key] = readFrom
    }
  }
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('ROOST_') || value === undefined || value === '') continue
    const known = environment[name]
    if (known !== undefined) {
      given[known[0]] = convert(value, known[1])
      sources[known[0]] = name
    } else if (!foreignEnvironment.test(name)) {
      problems.push(`${name} is no variable of Roost${suggest(name, Object.keys(environment))}`)
    }
  }
  for (const [flag, value] of fromFlags.values) {
    const [key, kind] = flags[flag]!
    given[key] = convert(value, kind)
    sources[key] = flag
  }
  const validate = new Ajv({
    useDefaults: true,
    allErrors: true,
    verbose: true,
    allowUnionTypes: true,
    validateSchema: false
  }).compile(ConfigSchema)
  if (!validate(given)) {
    for (const { pointer, message } of toFieldErrors(validate.errors ?? [], 'body')) {
      const key = pointer.slice(1).replaceAll('/', '.')
      const shown = secretKeys.includes(key as keyof Config) ? message.replace(/; got .*/, '') : message
      const source = sources[key.split('.')[0]!]
      problems.push(`${key}${source === undefined ? '' : ` (${source})`} ${shown}`)
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  const config = given as Config
  const faults = [
    ...faultsOfOrigins(config.corsOrigins),
    ...faultsOfProxies(config.trustProxy),
    ...faultsOfIssuers(config.jwt)
  ]
  if (faults.length > 0) throw new ConfigError(faults)
  const base = readFrom === null ? process.cwd() : dirname(readFrom)
  config.dataDir =
    config.dataDir === ''
      ? defaultDataDir(env)
      : resolve(sources['dataDir'] === readFrom ? base : process.cwd(), config.dataDir)
  if (config.policiesFile !== '')
    config.policiesFile = resolve(
      sources['policiesFile'] === readFrom ? base : process.cwd(),
      config.policiesFile
    )
  if (config.node.name === '') config.node.name = hostname()
  if (config.tokenFile !== '') {
    if (config.token !== '') throw new ConfigError(['token and tokenFile are both given; give one'])
    config.token = readSecretFile(config.tokenFile)
  }
  if (config.token !== '' && !/^[\x21-\x7e]{16,512}$/.test(config.token)) {
    throw new ConfigError([
      `token (${sources['token'] ?? config.tokenFile}) must be 16 to 512 printable characters without spaces, such as the output of: openssl rand -hex 24`
    ])
  }
  return { config, sources, file: readFrom }
}

/** `$XDG_DATA_HOME/roost`, else `~/.local/share/roost`. */
export const defaultDataDir = (env: NodeJS.ProcessEnv): string =>
  join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'roost')

/** The configuration as it may be shown: secrets masked. */
export function maskConfig(config: Config): Config {
  const shown = structuredClone(config)
  for (const key of secretKeys) if (shown[key]) Object.assign(shown, { [key]: mask })
  if (config.databaseUrl !== '') shown.databaseUrl = maskUrl(config.databaseUrl)
  return shown
}

const mask = '********'

/** Host and database are what one looks for there; what is no URL may hold the password anywhere. */
function maskUrl(text: string): string {
  const url = URL.parse(text)
  if (url === null || url.host === '') return mask
  if (url.password !== '') url.password = mask
  return url.href
}

function readFlags(
  argv: readonly string[],
  problems: string[]
): { config: string | null; values: Map<string, string> } {
  const values = new Map<string, string>()
  let config: string | null = null
  for (let i = 0; i < argv.length; i++) {
    const [flag, inline] = splitFlag(argv[i]!)
    const known = flags[flag]
    if (known === undefined && flag !== '--config') {
      problems.push(`${flag} is no flag of 'roost up'${suggest(flag, [...Object.keys(flags), '--config'])}`)
      continue
    }
    if (known?.[1] === 'flag') {
      values.set(flag, 'true')
      continue
    }
    const value = inline ?? argv[++i]
    if (value === undefined) problems.push(`${flag} needs a value`)
    else if (flag === '--config') config = value
    else values.set(flag, value)
  }
  return { config, values }
}

function splitFlag(argument: string): [flag: string, value: string | undefined] {
  const at = argument.indexOf('=')
  return at === -1 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)]
}

function readYaml(file: string, problems: string[]): Record<string, unknown> {
  try {
    // Loaded only where there is a file: most starts have none.
    const { parse } = createRequire(import.meta.url)('yaml') as typeof Yaml
    const parsed: unknown = parse(readFileSync(file, 'utf8'), { uniqueKeys: true })
    if (parsed === null) return {}
    if (typeof parsed === 'object' && !Array.isArray(parsed)) return parsed as Record<string, unknown>
    problems.push(`${file} must hold keys and values`)
  } catch (error) {
    problems.push(`${file} cannot be read: ${(error as Error).message.split('\n')[0]}`)
  }
  return {}
}

/** `*` beside names would say two things at once. */
const faultsOfOrigins = (origins: readonly string[]): string[] =>
  origins.length > 1 && origins.includes('*')
    ? ['corsOrigins has * beside other origins; give * alone, or only the origins that you mean']
    : []

const faultsOfProxies = (proxies: readonly string[]): string[] =>
  proxies.flatMap((proxy, i) => {
    const fault = networkFault(proxy)
    return fault === null ? [] : [`trustProxy.${i} ${fault}`]
  })

function readSecretFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new ConfigError([`tokenFile ${file} cannot be read: ${(error as Error).message}`])
  }
}

function convert(value: string, kind: Kind): unknown {
  if (kind === 'integer') return /^\d+$/.test(value) ? Number(value) : value
  if (kind === 'list')
    return value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
  if (kind === 'flag') return value === 'true'
  if (kind === 'json') return readJson(value)
  return value
}

/** The value of the text; the text itself where it is no JSON, which no schema of such a key takes. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function suggest(name: string, known: readonly string[]): string {
  const near = known.find((candidate) => distance(candidate.toLowerCase(), name.toLowerCase()) <= 2)
  return near === undefined ? '' : `; did you mean ${near}?`
}
