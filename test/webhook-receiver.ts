import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export interface Received {
  headers: IncomingHttpHeaders
  body: string
  response: ServerResponse
}

/** A real HTTP receiver. `answer` says what it does with a request; default: 204. */
export async function startReceiver(
  t: { teardown(end: () => unknown): void },
  answer: (received: Received, index: number) => void = ({ response }) => void response.writeHead(204).end(),
  port = 0
) {
  const received: Received[] = []
  const waiting = new Set<() => void>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = { headers: request.headers, body: Buffer.concat(chunks).toString(), response }
      received.push(one)
      answer(one, received.length - 1)
      for (const look of waiting) look()
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port: taken } = server.address() as AddressInfo
  return {
    received,
    port: taken,
    url: `http://127.0.0.1:${taken}/hook`,
    /** Resolves when `count` requests have come. */
    async until(count: number): Promise<void> {
      if (received.length >= count) return
      await new Promise<void>((resolve) => {
        const look = () => {
          if (received.length < count) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
      })
    }
  }
}

/** What the standard's own verifier makes of a request. Throws where the signature is not good. */
export const verified = (
  secret: string,
  { body, headers }: Received
): { type: string; data: { id: string } } =>
  new Webhook(secret).verify(body, headers as Record<string, string>) as {
    type: string
    data: { id: string }
  }
