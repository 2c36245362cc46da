import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run-tap.ts'

/** What a component's first build takes at most on two cores, and the folders whose change it must be tested with. */
export const components: Record<string, { buildMinutes: number; covers: string[] }> = {
  postgres: { buildMinutes: 1, covers: ['plugins/storage/', 'src/contracts/storage.ts'] },
  data: { buildMinutes: 2, covers: ['plugins/vector/', 'plugins/context/'] },
  milvus: { buildMinutes: 3, covers: ['plugins/vector/milvus/'] },
  weaviate: { buildMinutes: 15, covers: ['plugins/vector/weaviate/'] },
  tools: {
    buildMinutes: 15,
    covers: [
      'plugins/openapi/',
      'plugins/observability/',
      'plugins/scheduler/traces.ts',
      'src/tracing.ts',
      'src/routes/',
      'src/schemas/',
      'src/errors.ts',
      'src/validation.ts',
      'schemathesis.toml',
      'deploy/prometheus/',
      'plugins/spec-kit/'
    ]
  },
  tailnet: { buildMinutes: 14, covers: ['plugins/peers/'] },
  cluster: { buildMinutes: 30, covers: ['plugins/runtimes/kubernetes/', 'deploy/'] },
  models: { buildMinutes: 30, covers: ['plugins/providers/', 'plugins/runtimes/llm/', 'plugins/mcp/'] }
}

/** The command that starts the real systems; it stands beside the repository, not in it. */
export const kit = process.env['ROOST_KIT'] ?? join(root, '../shared/kit/kit')

type Standing = { isBuilt: boolean; isUp: boolean }

/** Which components the kit has, and how they stand; empty where there is no kit. */
export const listComponents = (): Map<string, Standing> => {
  if (!existsSync(kit)) return new Map()
  const { stdout } = spawnSync(kit, ['list'], { encoding: 'utf8' })
  const rows = stdout.matchAll(/^(\S+) +(built|not built) +(up|down)\b/gm)
  return new Map(
    [...rows].map(([, name = '', built, up]) => [name, { isBuilt: built === 'built', isUp: up === 'up' }])
  )
}

/** @returns whether the build ended well, ended badly, or had to be stopped after `limitMs` */
export const buildComponent = async (
  name: string,
  limitMs: number
): Promise<'built' | 'failed' | 'stopped'> => {
  const child = spawn(kit, ['build', name], { stdio: ['ignore', 'inherit', 'inherit'], detached: true })
  let isStopped = false
  const stop = () => {
    isStopped = true
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM') // with everything that it started
  }
  const limit = Number.isFinite(limitMs) ? setTimeout(stop, limitMs) : undefined
  const [exitCode] = await once(child, 'exit')
  clearTimeout(limit)
  if (isStopped) return 'stopped'
  return exitCode === 0 ? 'built' : 'failed'
}

/** Starts a component. @returns the variables that its settings add, or undefined where it does not start */
export const startComponent = (name: string): Record<string, string> | undefined => {
  // The settings are lines for a shell, so a shell reads them.
  const script = 'settings=$("$0" up "$1") && set -a && eval "$settings" && env -0'
  const { status, stdout } = spawnSync('bash', ['-c', script, kit, name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  })
  if (status !== 0) return undefined
  const added: Record<string, string> = {}
  for (const entry of stdout.split('\0')) {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(entry) ?? []
    const isOfTheShell = ['', '_', 'PWD', 'SHLVL'].includes(key)
    if (!isOfTheShell && process.env[key] !== value) added[key] = value
  }
  return added
}

export const stopComponent = (name: string): void => {
  spawnSync(kit, ['down', name], { stdio: ['ignore', 'ignore', 'inherit'] })
}
