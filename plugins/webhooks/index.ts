import fp from 'fastify-plugin'
import type {} from '../node/index.ts'
import type {} from '../policies/index.ts'
import type {} from '../secrets/index.ts'
import type {} from '../storage/index.ts'
import { createWebhooks, type Webhooks } from './webhooks.ts'

export type { Webhooks }

declare module 'fastify' {
  interface FastifyInstance {
    /** Callbacks on the end of jobs. */
    webhooks: Webhooks
  }
}

export interface WebhooksPluginOptions {
  version: string
}

export default fp<WebhooksPluginOptions>(
  async (app, { version }) => {
    const { storage, clock, secrets, policies, node, log, observability } = app
    const tried = observability.counter({
      name: 'roost_webhook_attempts_total',
      help: 'Calls of webhooks by what came of them; failed: given up.',
      labels: ['outcome']
    })
    observability.gauge(
      { name: 'roost_webhooks_undelivered', help: 'Webhooks to come, and given up.', labels: ['state'] },
      async (set) => {
        for (const [state, count] of Object.entries(await storage.webhooks.countUndelivered()))
          set(count, { state })
      }
    )
    const webhooks = createWebhooks({
      storage,
      clock,
      secrets,
      policies,
      version,
      log,
      holder: node.id,
      onTried: (outcome) => tried.add(1, { outcome })
    })
    app.decorate('webhooks', webhooks)
    app.addHook('onReady', () => webhooks.start())
    app.addHook('preClose', () => webhooks.stop())
  },
  {
    name: 'webhooks',
    dependencies: ['observability', 'storage', 'secrets', 'policies', 'node'],
    decorators: { fastify: ['observability', 'storage', 'clock', 'secrets', 'policies', 'node'] }
  }
)
