import fp from 'fastify-plugin'
import type {} from '../capacity/index.ts'
import type {} from '../node/index.ts'
import type {} from '../runtimes/index.ts'
import type {} from '../secrets/index.ts'
import type {} from '../storage/index.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'

declare module 'fastify' {
  interface FastifyInstance {
    scheduler: Scheduler
  }
}

export interface SchedulerPluginOptions {
  logCapBytes: number
  idempotencyKeptHours: number
}

export default fp<SchedulerPluginOptions>(
  async (app, options) => {
    const { storage, clock, runtimes, capacity, secrets, log, node } = app
    const scheduler = await createScheduler({
      storage,
      clock,
      runtimes,
      capacity,
      secrets,
      log,
      node,
      logCapBytes: options.logCapBytes,
      idempotencyKeptMs: options.idempotencyKeptHours * 3_600_000
    })
    app.decorate('scheduler', scheduler)
    // Ready means: every plugin has added its runtimes.
    app.addHook('onReady', () => scheduler.start())
    app.addHook('preClose', async () => scheduler.stop())
  },
  {
    name: 'scheduler',
    dependencies: ['storage', 'runtimes', 'capacity', 'secrets', 'node'],
    decorators: { fastify: ['storage', 'clock', 'runtimes', 'capacity', 'secrets', 'node'] }
  }
)
