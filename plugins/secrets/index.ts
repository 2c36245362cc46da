import { join } from 'node:path'
import fp from 'fastify-plugin'
import type {} from '../storage/index.ts'
import { createSecrets, type Secrets } from './secrets.ts'

export type { Secrets }

declare module 'fastify' {
  interface FastifyInstance {
    /** Named secrets: stored ones, files and the environment. */
    secrets: Secrets
  }
}

export interface SecretsPluginOptions {
  /** The key file `secrets.key` is in it. */
  dataDir: string
  /** A folder with one file for each secret; '' = none. */
  secretsDir: string
}

export default fp<SecretsPluginOptions>(
  async (app, { dataDir, secretsDir }) => {
    const secrets = createSecrets({
      storage: app.storage,
      clock: app.clock,
      keyFile: join(dataDir, 'secrets.key'),
      secretsDir: secretsDir === '' ? null : secretsDir
    })
    await secrets.check()
    app.decorate('secrets', secrets)
  },
  { name: 'secrets', dependencies: ['storage'], decorators: { fastify: ['storage', 'clock'] } }
)
