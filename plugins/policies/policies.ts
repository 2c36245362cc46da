import type { FastifyBaseLogger } from 'fastify'
import { auditRecord, system } from '../../src/audit.ts'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import type { PolicyReader, Rules } from '../../src/domain/policy.ts'
import { PolicyFileError, readPolicyFile, type LoadedPolicies } from '../../src/policy-file.ts'
import type { PolicyStatus } from '../../src/schemas/policy.ts'
import { compilePolicy, joinRules, type CompiledPolicy } from './compile.ts'
import { watchFile } from './watch-file.ts'

export interface PoliciesOptions {
  file: string
  storage: Pick<Storage, 'write'>
  clock: Clock
  log: Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>
  /** Hears of every reading of a changed file. */
  onRead?: (outcome: 'taken' | 'refused') => void
}

/** The policies in force: who may ask what they are, and who keeps them up to date. */
export interface Policies extends PolicyReader {
  /** The policies, their file and, where the file as it is now is not valid, why. */
  status(): PolicyStatus
  /** Reads the file again; resolves when what is valid is in force. The old policies stay where it is not. */
  reload(): Promise<void>
  /** Reads the file for the first time, throws where it is not valid, and watches it from there on. */
  open(): Promise<void>
  close(): void
}

/** Rules kept at most; beyond it all are forgotten and made again. */
const keptRules = 20_000
const settingKey = 'policies'

export function createPolicies({ file, storage, clock, log, onRead }: PoliciesOptions): Policies {
  const listeners = new Set<() => void>()
  /** Tenant -> token -> rules; a token has one name for good. */
  const rules = new Map<string, Map<string, Rules>>()
  let kept = 0
  let compiled: readonly CompiledPolicy[] = []
  let loaded: LoadedPolicies = { policies: [], hash: '' }
  let loadedAt = 0
  let fault: { at: number; problems: readonly string[] } | null = null
  let reloading: Promise<void> = Promise.resolve()
  let watching: { close(): void } | null = null

  function forget(): void {
    rules.clear()
    kept = 0
  }

  function rulesFor(tenant: string, token: string, tokenName: string | null): Rules {
    let ofTenant = rules.get(tenant)
    const known = ofTenant?.get(token)
    if (known !== undefined) return known
    if (kept >= keptRules) {
      forget()
      ofTenant = undefined
    }
    if (ofTenant === undefined) rules.set(tenant, (ofTenant = new Map<string, Rules>()))
    const made = joinRules(
      compiled.filter((policy) => policy.appliesTo(tenant, token, tokenName)),
      tenant
    )
    ofTenant.set(token, made)
    kept++
    return made
  }

  /** What changes what may be done is audited first; memory follows the commit. */
  async function apply(next: LoadedPolicies): Promise<void> {
    const at = clock.now()
    await storage.write(async (tx) => {
      const before = await tx.settings.get(settingKey)
      if (before === next.hash) return
      await tx.settings.set(settingKey, next.hash)
      const policies = next.policies.map(({ name }) => name)
      await tx.audit.append(
        auditRecord(system, at, 'policy.load', file, { before, after: next.hash, policies })
      )
    })
    loaded = next
    loadedAt = at
    compiled = next.policies.map(compilePolicy)
    forget()
    onRead?.('taken')
    for (const listener of listeners) listener()
  }

  async function readAgain(): Promise<void> {
    try {
      const next = readPolicyFile(file)
      if (next.hash !== loaded.hash) {
        await apply(next)
        log.info({ file, policies: next.policies.length, hash: next.hash }, 'the policies were read again')
      } else if (fault !== null) {
        log.info({ file }, 'the policy file is again as it was read last')
      }
      fault = null
    } catch (error) {
      const problems = error instanceof PolicyFileError ? error.problems : [(error as Error).message]
      // Told once: the file is looked at again and again.
      if (fault?.problems.join('\n') === problems.join('\n')) return
      fault = { at: clock.now(), problems }
      onRead?.('refused')
      log.error({ file, problems }, 'the policy file is not valid; the policies read before stay in force')
    }
  }

  /** One at a time, in order. */
  const reload = (): Promise<void> => (reloading = reloading.then(readAgain))

  return {
    rulesFor,
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    status: () => ({
      file,
      hash: loaded.hash,
      loadedAt: new Date(loadedAt).toISOString(),
      error: fault === null ? null : { at: new Date(fault.at).toISOString(), problems: [...fault.problems] },
      policies: [...loaded.policies]
    }),
    reload,
    async open() {
      const first = readPolicyFile(file)
      await apply(first)
      watching = watchFile(
        file,
        clock,
        () => void reload(),
        (message) => log.warn({ file }, message)
      )
    },
    close() {
      watching?.close()
    }
  }
}
