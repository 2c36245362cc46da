import fp from 'fastify-plugin'
import type { Storage } from '../../src/contracts/storage.ts'
import { addStorageMetrics, createCommitObserver } from './metrics.ts'
import { openStorage, type StorageOptions } from './open.ts'

declare module 'fastify' {
  interface FastifyInstance {
    storage: Storage
  }
}

export default fp<StorageOptions>(
  async (app, options) => {
    const observe = createCommitObserver(app.observability)
    const storage = await openStorage({ log: app.log, observe, ...options })
    app.decorate('storage', storage)
    addStorageMetrics(app.observability, storage)
    app.addHook('onClose', () => storage.close())
  },
  { name: 'storage', dependencies: ['observability'], decorators: { fastify: ['observability'] } }
)
