import { readFileSync, readdirSync } from 'node:fs'
import { findTool } from './account.ts'

const closeOnExec = 0o2000000

/**
 * Descriptors above 2 of this process that its children would get. Node marks its own, and at its start what it was
 * given up to the first gap above 15; any beyond came from whoever started it. Throws where no descriptor is free.
 */
function findInherited(): number[] {
  const found: number[] = []
  for (const entry of readdirSync('/proc/self/fd')) {
    const fd = Number(entry)
    if (fd < 3) continue
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0'
      if ((Number.parseInt(flags, 8) & closeOnExec) === 0) found.push(fd)
    } catch {
      // The one by which the folder itself was read.
    }
  }
  return found
}

/** What goes before a command so that it gets none of them, as far as the shells of this node can close them. */
export function closing(shell: string, warn: (message: string) => void): string[] {
  const bash = findTool('bash')
  const inherited = findInherited()
  // Other shells know descriptors of one digit only.
  const closable = inherited.filter((fd) => fd < 10 || bash !== null)
  if (closable.length < inherited.length)
    warn('jobs see descriptors that this service was started with, as there is no bash to close them')
  if (closable.length === 0) return []
  const script = [...closable.map((fd) => `exec ${fd}>&-`), 'exec "$@"'].join('\n')
  return [bash ?? shell, '-c', script, 'sh']
}
