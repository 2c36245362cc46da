import fp from 'fastify-plugin'
import type {} from '../node/index.ts'
import type {} from '../storage/index.ts'
import { createAudit, type Start } from './audit.ts'

declare module 'fastify' {
  interface FastifyInstance {
    audit: ReturnType<typeof createAudit>
  }
}

export type AuditPluginOptions = Omit<Start, 'node'>

export default fp<AuditPluginOptions>(
  async (app, { version, configuration }) => {
    const audit = createAudit({ storage: app.storage, clock: app.clock })
    app.decorate('audit', audit)
    app.addHook('onReady', () => audit.start({ node: app.node, version, configuration }))
  },
  {
    name: 'audit',
    dependencies: ['storage', 'node'],
    decorators: { fastify: ['storage', 'clock', 'node'] }
  }
)
