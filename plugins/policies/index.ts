import fp from 'fastify-plugin'
import type {} from '../storage/index.ts'
import { noPolicies } from './none.ts'
import type { Policies } from './policies.ts'
export type { Policies } from './policies.ts'

declare module 'fastify' {
  interface FastifyInstance {
    policies: Policies
  }
}

export interface PoliciesPluginOptions {
  /** The policy file; empty: nothing is restricted. */
  file: string
}

export default fp<PoliciesPluginOptions>(
  async (app, { file }) => {
    if (file === '') {
      app.decorate('policies', noPolicies)
      return
    }
    const { createPolicies } = await import('./policies.ts')
    const { storage, clock, log } = app
    const policies = createPolicies({ file, storage, clock, log })
    // A service whose policies cannot be read must not run without them.
    await policies.open()
    app.decorate('policies', policies)
    app.addHook('onClose', async () => policies.close())
  },
  { name: 'policies', dependencies: ['storage'], decorators: { fastify: ['storage', 'clock'] } }
)
