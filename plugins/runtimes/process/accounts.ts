import { chmodSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../src/contracts/clock.ts'
import { findAccount, findPrefix } from './account.ts'
import { messageOf } from './attempt-files.ts'
import { openAccountOwners } from './account-owners.ts'
import type { Account, StartFault } from './command.ts'

export interface AccountsOptions {
  dataDir: string
  attemptsDir: string
  /** The account of attempts whose order names none; without it the service's own. */
  jobUser: string | undefined
  clock: Clock
}

/** An account that attempts can run as, and what goes before their program to run as it. */
export interface Runner {
  account: Account
  prefix: string[]
  /** Another user's than the service's own: its folders must be given to it. */
  isForeign: boolean
}

/** An account that cannot be used is looked for again after this long: it may have been made since. */
const faultKeptMs = 5_000

/**
 * The accounts of this machine that attempts run as. The first tenant that uses one keeps it, across restarts, until an
 * admin frees it: two tenants under one uid could read and end each other's jobs. Throws where `jobUser` cannot be taken
 * on, or where the file of the owners cannot be read.
 */
export function createAccounts({ dataDir, attemptsDir, jobUser, clock }: AccountsOptions) {
  const owners = openAccountOwners(join(dataDir, 'accounts.json'))
  const runners = new Map<string, Runner>()
  const faults = new Map<string, { message: string; at: number }>()

  function find(user: string | null): Runner | { message: string } {
    const key = user ?? ''
    const known = runners.get(key)
    if (known !== undefined) return known
    const kept = faults.get(key)
    if (kept !== undefined && clock.now() - kept.at < faultKeptMs) return kept
    try {
      const runner = open(user)
      runners.set(key, runner)
      return runner
    } catch (error) {
      const found = { message: messageOf(error), at: clock.now() }
      faults.set(key, found)
      return found
    }
  }

  /** Throws where the account does not exist or cannot be taken on. */
  function open(user: string | null): Runner {
    const name = user ?? jobUser
    const own = findAccount(undefined, attemptsDir, '')
    if (name !== undefined && name !== own.name && own.uid === 0) letPass(dataDir)
    const account = findAccount(name, attemptsDir, user === null ? 'ROOST_JOB_USER' : 'a policy')
    if (user !== null && account.uid === 0)
      throw new Error(`${user} is root, as which no tenant's jobs may run; name another account`)
    const isForeign = account.uid !== own.uid
    // Those of other accounts must reach their folders.
    if (isForeign) chmodSync(attemptsDir, 0o711)
    return { account, prefix: findPrefix(isForeign ? account : null), isForeign }
  }

  function faultOf(tenant: string, { account: { name, uid } }: Runner): string | null {
    const owner = owners.get(uid)
    return owner === undefined || owner === tenant
      ? null
      : `jobs of tenant "${owner}" run as ${name} (uid ${uid}) already, and two tenants never share an account; name another one ("user" in a policy). To free one that is used no more, stop the service and remove its line from ${owners.file}`
  }

  runners.set('', open(null))

  /** The account, where this tenant may have it. Only the tenant `default` has the runtime's own. */
  function findFor(tenant: string, user: string | null): Runner | StartFault {
    if (user === null && tenant !== 'default')
      return fault(
        'user-missing',
        `Process jobs of tenant "${tenant}" would run as the same user as those of other tenants and could read them; name an account for the tenant in a policy ("user"), or use a container task`
      )
    const found = find(user)
    if (!('account' in found)) return fault('user-unavailable', found.message)
    const shared = faultOf(tenant, found)
    return shared === null ? found : fault('user-shared', shared)
  }

  return {
    /** What runs already holds its account. */
    adopt(tenant: string, uid: number): void {
      owners.keep(uid, tenant)
    },
    /** Why the tenant's attempts cannot run as `user` (null: the runtime's own account), or null. */
    findFault(tenant: string, user: string | null): string | null {
      const found = findFor(tenant, user)
      return 'account' in found ? null : found.message
    },
    /** The account for an attempt; from now on the tenant's alone. Throws where that cannot be written down. */
    claim(tenant: string, user: string | null): Runner | StartFault {
      const found = findFor(tenant, user)
      if ('account' in found) owners.keep(found.account.uid, tenant)
      return found
    }
  }
}

const fault = (code: string, message: string): StartFault => ({ code, message, retriable: false })

export type Accounts = ReturnType<typeof createAccounts>

/** Lets other users pass through a folder of ours without letting them read it: the job's folder is below. */
function letPass(folder: string): void {
  const { uid, mode } = statSync(folder)
  if (uid === process.getuid?.()) chmodSync(folder, (mode & 0o777) | 0o011)
}
