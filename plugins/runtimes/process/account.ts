import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import type { Account } from './command.ts'

/**
 * The account named `user`, as `namedBy` (a setting, a policy) does; without a name the service's own. Throws, with the
 * remedy, where it does not exist or cannot be taken on.
 */
export function findAccount(user: string | undefined, attemptsDir: string, namedBy: string): Account {
  const own = userInfo()
  if (user === undefined || user === own.username)
    return { name: own.username, uid: own.uid, gid: own.gid, home: own.homedir }
  if (process.getuid?.() !== 0) {
    throw new Error(
      `Jobs are to run as ${user} (${namedBy}), which needs the service to run as root. Start it as root or leave the user out`
    )
  }
  const line = passwdLine(user)
  if (line === null)
    throw new Error(
      `user-unknown: there is no user ${user} (${namedBy}) on this node. Create it or name another`
    )
  const [name = user, , uid = '', gid = '', , home = '/'] = line.split(':')
  for (let folder = attemptsDir; folder !== '/'; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0 && folder !== attemptsDir) {
      throw new Error(
        `${folder} cannot be entered by ${name}, so jobs could not reach their folders. chmod o+x it or set ROOST_DATA_DIR to another place`
      )
    }
  }
  return { name, uid: Number(uid), gid: Number(gid), home: home === '' ? '/' : home }
}

/** What goes before a job's program: a session of its own, and its user. */
export function findPrefix(account: Account | null): string[] {
  const setsid = findTool('setsid')
  if (setsid === null) throw new Error('The process runtime needs setsid (util-linux or busybox) in PATH')
  if (account === null) return [setsid]
  const setpriv = findTool('setpriv')
  if (setpriv === null) throw new Error('Running jobs as another user needs setpriv (util-linux) in PATH')
  return [setsid, setpriv, `--reuid=${account.uid}`, `--regid=${account.gid}`, '--init-groups', '--']
}

/** A tool of the node in the service's own PATH. */
export function findTool(name: string): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(':'), '/usr/bin', '/bin']) {
    const file = join(folder, name)
    if (!folder.startsWith('/') || statSync(file, { throwIfNoEntry: false })?.isFile() !== true) continue
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // The next folder may have one that can be run.
    }
  }
  return null
}

function passwdLine(user: string): string | null {
  const local = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${user}:`))
  if (local !== undefined) return local
  // Users of a directory service (LDAP, SSSD) are known to getent only.
  const found = spawnSync('getent', ['passwd', '--', user], { encoding: 'utf8' })
  return found.status === 0 ? (found.stdout.split('\n')[0] ?? null) : null
}
