import fp from 'fastify-plugin'
import type { Storage } from '../../src/contracts/storage.ts'
import { openStorage, type StorageOptions } from './open.ts'

declare module 'fastify' {
  interface FastifyInstance {
    storage: Storage
  }
}

export default fp<StorageOptions>(
  async (app, options) => {
    const storage = await openStorage({ log: app.log, ...options })
    app.decorate('storage', storage)
    app.addHook('onClose', () => storage.close())
  },
  { name: 'storage', fastify: '5.x' }
)
