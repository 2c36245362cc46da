import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { auditRecord, system, type Requester } from '../../src/audit.ts'
import { systemClock, type Clock } from '../../src/contracts/clock.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import { RoostError } from '../../src/errors.ts'
import { secretNamePattern } from '../../src/schemas/job.ts'
import { openKeyFile, readKeyFile } from './key-file.ts'
import { seal, unseal } from './seal.ts'

export interface SecretsOptions {
  storage: Storage
  /** 32 bytes, mode 0600; made with the first stored secret. */
  keyFile: string
  /** A folder with one file for each secret (a mounted Kubernetes Secret, systemd credentials); null = none. */
  secretsDir?: string | null
  environmentPrefix?: string
  env?: NodeJS.ProcessEnv
  clock?: Clock
  /** The tenant that the folder and the environment belong to. */
  defaultTenant?: string
}

export interface SecretEntry {
  name: string
  source: 'stored' | 'file' | 'environment'
  /** ISO 8601; null where the source does not tell. */
  updatedAt: string | null
}

export interface Secrets {
  /** Checks the key file where there is one. Throws KeyFileError. */
  check(): Promise<void>
  /**
   * Values for the environment of a job: `wanted` is environment name -> secret's name. A stored secret comes before a
   * file and a file before the environment. Tells every name that is missing. Throws where a secret is there but cannot
   * be opened.
   */
  resolve(
    tenant: string,
    wanted: Readonly<Record<string, string>>
  ): Promise<{ env: Record<string, string> } | { missing: string[] }>
  /** Stores a secret, sealed, on disk when it resolves. Throws `invalid`. */
  set(tenant: string, name: string, value: string, by?: Requester): Promise<void>
  /** Names and where each comes from, by name; never values. */
  list(tenant: string): Promise<SecretEntry[]>
  /**
   * A secret that Roost makes for itself at its first use: sealed as all are, but under a name that no job and no route
   * can give.
   */
  own(tenant: string, purpose: string, make: () => string): Promise<string>
  /** Removes a stored secret; false where none is stored. Files and the environment are not Roost's to change. */
  remove(tenant: string, name: string, by?: Requester): Promise<boolean>
}

const namePattern = new RegExp(secretNamePattern)
/** What one variable of a process' environment can hold on Linux. */
const mostBytes = 131_072

export function createSecrets(options: SecretsOptions): Secrets {
  const {
    storage,
    keyFile,
    secretsDir = null,
    environmentPrefix = 'ROOST_SECRET_',
    env = process.env,
    clock = systemClock,
    defaultTenant = 'default'
  } = options

  async function find(tenant: string, name: string): Promise<string | null> {
    if (!namePattern.test(name)) return null
    const stored = await storage.secrets.find(tenant, name)
    if (stored !== null) return await openStored(tenant, name, stored.sealed)
    if (tenant !== defaultTenant) return null
    return (await readSecretFile(name)) ?? env[environmentName(name)] ?? null
  }

  async function openStored(tenant: string, name: string, sealed: string): Promise<string> {
    // Read each time: a key that is put back or replaced counts at once, and no copy of it stays in memory.
    const key = await readKeyFile(keyFile)
    if (key === null)
      throw new RoostError(
        'internal',
        `The secret ${name} is stored, but the key file ${keyFile} is gone: put it back, or set the secret again`
      )
    const value = unseal(key, { tenant, name }, sealed)
    if (value === null)
      throw new RoostError(
        'internal',
        `The secret ${name} does not open with the key file ${keyFile}: put the right key file back, or set the secret again`
      )
    return value
  }

  async function readSecretFile(name: string): Promise<string | null> {
    if (secretsDir === null) return null
    const file = join(secretsDir, name)
    try {
      const { size } = await stat(file)
      if (size > mostBytes)
        throw new RoostError(
          'internal',
          `The secret file ${file} has ${size} bytes; at most ${mostBytes} fit into an environment`
        )
      const text = await readFile(file, 'utf8')
      if (text.includes('\0'))
        throw new RoostError(
          'internal',
          `The secret file ${file} holds a zero byte, which no environment can hold`
        )
      return text.replace(/\r?\n$/, '')
    } catch (error) {
      if (isAbsent(error)) return null
      throw error
    }
  }

  /** Regular files and links to such (Kubernetes mounts links); its folders and dot files are not secrets. */
  async function listFiles(): Promise<SecretEntry[]> {
    if (secretsDir === null) return []
    const entries: SecretEntry[] = []
    for (const name of await readdir(secretsDir).catch(emptyWhereAbsent)) {
      const facts = namePattern.test(name) ? await stat(join(secretsDir, name)).catch(() => null) : null
      if (facts?.isFile() === true)
        entries.push({ name, source: 'file', updatedAt: facts.mtime.toISOString() })
    }
    return entries
  }

  /** The variable's name does not tell the secret's letters: it is listed in lower case, by which it is found too. */
  function listEnvironment(): SecretEntry[] {
    return Object.keys(env)
      .filter((variable) => variable.startsWith(environmentPrefix))
      .map((variable) => variable.slice(environmentPrefix.length).toLowerCase())
      .filter((name) => namePattern.test(name) && env[environmentName(name)] !== undefined)
      .map((name) => ({ name, source: 'environment', updatedAt: null }))
  }

  const environmentName = (name: string): string =>
    environmentPrefix + name.toUpperCase().replace(/[^A-Z0-9]/g, '_')

  return {
    async check() {
      await readKeyFile(keyFile)
    },

    async resolve(tenant, wanted) {
      const found: [variable: string, value: string][] = []
      const missing = new Set<string>()
      for (const [variable, name] of Object.entries(wanted)) {
        const value = await find(tenant, name)
        if (value === null) {
          missing.add(name)
          continue
        }
        found.push([variable, value])
      }
      return missing.size > 0 ? { missing: [...missing] } : { env: Object.fromEntries(found) }
    },

    async set(tenant, name, value, by = system) {
      if (!namePattern.test(name))
        throw invalid('/name', 'must be letters, digits, dots, dashes and underscores, at most 128')
      if (value.includes('\0')) throw invalid('/value', 'holds a zero byte, which no environment can hold')
      if (Buffer.byteLength(value) > mostBytes) throw invalid('/value', `is larger than ${mostBytes} bytes`)
      const sealed = seal(await openKeyFile(keyFile), { tenant, name }, value)
      const now = clock.now()
      await storage.write(async (tx) => {
        const before = versionOf(await tx.secrets.find(tenant, name))
        await tx.secrets.put({ tenant, name, sealed, updatedAt: now })
        const after = versionOf({ sealed })
        await tx.audit.append(auditRecord(by, now, 'secret.set', name, { tenant, before, after }))
      })
    },

    async list(tenant) {
      const stored = (await storage.secrets.list(tenant))
        .filter(({ name }) => namePattern.test(name))
        .map(({ name, updatedAt }): SecretEntry => ({
          name,
          source: 'stored',
          updatedAt: new Date(updatedAt).toISOString()
        }))
      const others = tenant === defaultTenant ? [...(await listFiles()), ...listEnvironment()] : []
      const byName = new Map<string, SecretEntry>()
      // The first source of a name is the one that `resolve` takes.
      for (const entry of [...stored, ...others]) if (!byName.has(entry.name)) byName.set(entry.name, entry)
      return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    },

    async own(tenant, purpose, make) {
      const name = `~${purpose}`
      const kept = await storage.secrets.find(tenant, name)
      if (kept !== null) return await openStored(tenant, name, kept.sealed)
      const made = seal(await openKeyFile(keyFile), { tenant, name }, make())
      const sealed = await storage.write(async (tx) => {
        const earlier = await tx.secrets.find(tenant, name)
        if (earlier !== null) return earlier.sealed
        const now = clock.now()
        await tx.secrets.put({ tenant, name, sealed: made, updatedAt: now })
        const after = versionOf({ sealed: made })
        await tx.audit.append(
          auditRecord(system, now, 'secret.make', purpose, { tenant, before: null, after })
        )
        return made
      })
      return await openStored(tenant, name, sealed)
    },

    async remove(tenant, name, by = system) {
      return await storage.write(async (tx) => {
        const before = versionOf(await tx.secrets.find(tenant, name))
        if (!(await tx.secrets.remove(tenant, name))) return false
        await tx.audit.append(
          auditRecord(by, clock.now(), 'secret.remove', name, { tenant, before, after: null })
        )
        return true
      })
    }
  }
}

/** Tells one stored version from another for the audit: of the cipher text, so it says nothing of the value. */
const versionOf = (secret: { sealed: string } | null): { version: string } | null =>
  secret === null ? null : { version: createHash('sha256').update(secret.sealed).digest('hex').slice(0, 16) }

const invalid = (pointer: string, message: string): RoostError =>
  new RoostError('invalid', `${pointer} ${message}`, {
    errors: [{ in: pointer === '/name' ? 'path' : 'body', pointer, message }]
  })

const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

function emptyWhereAbsent(error: unknown): string[] {
  if (isAbsent(error)) return []
  throw error
}
