import fp from 'fastify-plugin'
import type {} from '../capacity/index.ts'
import type {} from '../node/index.ts'
import type {} from '../policies/index.ts'
import type {} from '../runtimes/index.ts'
import type {} from '../secrets/index.ts'
import type {} from '../storage/index.ts'
import type {} from '../webhooks/index.ts'
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

/** Plugins, each with the decorator of its name. */
const needed = ['observability', 'storage', 'runtimes', 'capacity', 'secrets', 'policies', 'webhooks', 'node']

export default fp<SchedulerPluginOptions>(
  async (app, options) => {
    const { storage, clock, runtimes, capacity, secrets, policies, webhooks, log, node, observability } = app
    const scheduler = await createScheduler({
      storage,
      clock,
      runtimes,
      capacity,
      secrets,
      policies,
      webhooks,
      log,
      node,
      observability,
      logCapBytes: options.logCapBytes,
      idempotencyKeptMs: options.idempotencyKeptHours * 3_600_000
    })
    app.decorate('scheduler', scheduler)
    const { gauge } = observability
    gauge({ name: 'roost_queue_depth', help: 'Jobs that wait.' }, (set) => set(scheduler.status().queued))
    gauge({ name: 'roost_queue_oldest_seconds', help: 'Age of the job that waits longest.' }, (set) =>
      set(scheduler.status().oldestSeconds)
    )
    gauge(
      { name: 'roost_jobs_waiting', help: 'Jobs that wait, by the reason.', labels: ['reason'] },
      (set) => {
        for (const [reason, count] of scheduler.waitingByReason()) set(count, { reason })
      }
    )
    gauge({ name: 'roost_attempts_running', help: 'Attempts that are not over.' }, (set) =>
      set(scheduler.status().running)
    )
    gauge(
      { name: 'roost_draining', help: '1 while the node takes no jobs: drained, or restored from a backup.' },
      (set) => {
        const { draining, paused } = scheduler.status()
        set(draining || paused !== null ? 1 : 0)
      }
    )
    // Ready means: every plugin has added its runtimes.
    app.addHook('onReady', () => scheduler.start())
    app.addHook('preClose', async () => scheduler.stop())
  },
  {
    name: 'scheduler',
    dependencies: needed,
    decorators: { fastify: [...needed, 'clock'] }
  }
)
