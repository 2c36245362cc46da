import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Examples } from '../../plugins/openapi/examples.ts'
import type { Config } from '../../src/config/schema.ts'
import type { ApiDocument } from '../api-page.ts'
import { examples } from './index.ts'
import { sendExamples } from './send.ts'

/** How the service is configured to which the examples are sent: what a reader sees varies with no machine. */
export const exampleConfig = {
  host: '127.0.0.1',
  port: 0,
  process: 'on',
  // The local one of the data directory, which an example replaces.
  token: '',
  node: { name: 'desk', labels: {} },
  capacity: { cpu: 8, memory: '16Gi', slots: 20 }
} satisfies Partial<Config>

/** Sends every example to an app made with {@link exampleConfig}, which listens from then on. */
export async function recordExamples(app: FastifyInstance, dataDir: string): Promise<Examples> {
  await app.listen({ host: exampleConfig.host, port: 0 })
  const { paths } = app.swagger() as unknown as ApiDocument
  const folder = join(dataDir, 'backups')
  mkdirSync(folder)
  return await sendExamples(examples, {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    token: readFileSync(join(dataDir, 'token'), 'utf8').trim(),
    folder,
    operations: new Map(
      Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, { operationId }]) => [
          operationId,
          { method: method.toUpperCase(), path }
        ])
      )
    )
  })
}
