import type { Server } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'

/** The metrics without a token, on a port of their own. */
export function serveMetrics(
  register: { contentType: string; metrics(): Promise<string> },
  log: FastifyBaseLogger
) {
  let server: Server | null = null
  return {
    /** Resolves once it listens; rejects where it cannot, with the port in the message. */
    async listen(port: number, host: string): Promise<void> {
      // Imported here: naming it at the top would load undici with it, a tenth of the start.
      const { createServer } = await import('node:http')
      const made = (server = createServer((request, response) => {
        if (request.url !== '/metrics') return void response.writeHead(404).end()
        register.metrics().then(
          (text) => response.writeHead(200, { 'content-type': register.contentType }).end(text),
          (error: unknown) => {
            log.error({ err: error }, 'the metrics could not be collected')
            response.writeHead(500).end()
          }
        )
      }))
      await new Promise<void>((resolve, reject) => {
        made.once('error', reject)
        made.listen(port, host, resolve)
      })
    },
    async close(): Promise<void> {
      const open = server
      if (open === null) return
      open.closeAllConnections()
      await new Promise((resolve) => open.close(resolve))
    }
  }
}
