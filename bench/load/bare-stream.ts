import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import { answerParent } from '../child.ts'
import { longLog } from '../long-log.ts'

/** The baseline of a replay: `ws` alone, sending the same frames out of memory, a page at a time as the socket drains. */
async function listen({ frames }: { frames: number }): Promise<number> {
  const log = longLog(frames).map(({ type, ...rest }, index) =>
    Buffer.from(JSON.stringify({ type, seq: index + 1, ...rest }))
  )
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  server.on('connection', (socket) => void sendAll(socket, log))
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const pageFrames = 512

async function sendAll(socket: WebSocket, log: readonly Buffer[]): Promise<void> {
  for (let start = 0; start < log.length; start += pageFrames) {
    const page = log.slice(start, start + pageFrames)
    await new Promise<void>((resolve) => {
      for (const [index, bytes] of page.entries())
        socket.send(bytes, { binary: false }, index === page.length - 1 ? () => resolve() : undefined)
    })
  }
  socket.close(1000)
}

answerParent(listen)
