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
    const { storage, clock, log, observability } = app
    const readings = observability.counter({
      name: 'roost_policy_readings_total',
      help: 'Readings of a changed policy file, by whether it was taken.',
      labels: ['outcome']
    })
    const onRead = (outcome: 'taken' | 'refused') => readings.add(1, { outcome })
    const policies = createPolicies({ file, storage, clock, log, onRead })
    observability.gauge(
      {
        name: 'roost_policy_file_refused',
        help: '1 while the policy file is not valid and older policies hold.'
      },
      (set) => set(policies.status().error === null ? 0 : 1)
    )
    // A service whose policies cannot be read must not run without them.
    await policies.open()
    app.decorate('policies', policies)
    app.addHook('onClose', async () => policies.close())
  },
  {
    name: 'policies',
    dependencies: ['observability', 'storage'],
    decorators: { fastify: ['observability', 'storage', 'clock'] }
  }
)
