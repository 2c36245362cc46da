import fp from 'fastify-plugin'
export type { Runtimes } from './registry.ts'
import type {} from '../capacity/index.ts'
import { createRuntimes, type Runtimes } from './registry.ts'

declare module 'fastify' {
  interface FastifyInstance {
    runtimes: Runtimes
  }
}

export interface RuntimesPluginOptions {
  dataDir: string
  /** Why no jobs run as local processes here; null where they do. */
  processOff: string | null
  jobUser: string
  diskReserveBytes: number
}

export default fp<RuntimesPluginOptions>(
  async (app, options) => {
    const runtimes = createRuntimes()
    app.decorate('runtimes', runtimes)
    if (options.processOff === null) {
      const { createProcessRuntime } = await import('./process/process.ts')
      runtimes.add(
        createProcessRuntime({
          dataDir: options.dataDir,
          log: app.log,
          diskReserveBytes: options.diskReserveBytes,
          hasGpus: app.capacity.snapshot().gpu.length > 0,
          ...(options.jobUser === '' ? {} : { jobUser: options.jobUser })
        })
      )
    } else {
      runtimes.switchOff('process', options.processOff)
    }
    app.addHook('onClose', async () => {
      await Promise.all(runtimes.list().map((runtime) => runtime.close()))
    })
  },
  // Storage is named so that it closes after the runtimes, whose last words it stores.
  { name: 'runtimes', dependencies: ['storage', 'capacity'] }
)
