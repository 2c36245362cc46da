import { arch, hostname, platform } from 'node:os'
import fp from 'fastify-plugin'
import type {} from '../storage/index.ts'
import { newId } from '../../src/ids.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** This node: its id is made at the first start and stays. */
    node: {
      id: string
      name: string
      version: string
      os: string
      arch: string
      labels: Record<string, string>
    }
  }
}

export interface NodePluginOptions {
  name: string
  labels: Record<string, string>
  version: string
}

export default fp<NodePluginOptions>(
  async (app, options) => {
    const id = await app.storage.write(async (tx) => {
      const kept = await tx.settings.get('node-id')
      if (kept !== null) return kept
      const made = newId(app.clock.now())
      await tx.settings.set('node-id', made)
      return made
    })
    const { name, version } = options
    const facts = { os: platform(), arch: arch() === 'x64' ? 'amd64' : arch() }
    const labels = { ...facts, hostname: hostname(), ...options.labels }
    app.decorate('node', { id, name, version, ...facts, labels })
    await app.storage.write((tx) =>
      tx.agents.upsert({
        id,
        name,
        kind: 'node',
        local: true,
        state: 'ready',
        facts: { version, ...facts, labels },
        seenAt: app.clock.now()
      })
    )
  },
  { name: 'node', dependencies: ['storage'], decorators: { fastify: ['storage', 'clock'] } }
)
