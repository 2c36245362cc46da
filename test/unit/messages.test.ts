import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { WebSocket } from 'ws'
import { createHash } from 'node:crypto'
import { encodeMessages } from '../../plugins/stream/messages.ts'

await t.test(
  'a WebSocket client reads back exactly the texts that were encoded, whatever their lengths',
  async (t) => {
    const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]
    const texts = [
      ...lengths.map((length) => 'x'.repeat(length)),
      ...lengths.map((length) => 'é'.repeat(Math.floor(length / 2))),
      ...fc.sample(fc.string({ unit: 'grapheme', maxLength: 300 }), 200)
    ]
    const server = createServer((socket) => {
      socket.once('data', (request) => {
        const key = /sec-websocket-key: (.*)\r\n/i.exec(String(request))![1]!
        const accept = createHash('sha1')
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64')
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
        )
        socket.write(encodeMessages(texts))
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const received: string[] = []
    await new Promise<void>((resolve) => {
      client.on('message', (message: Buffer) => {
        received.push(message.toString())
        if (received.length === texts.length) resolve()
      })
    })
    client.terminate()
    await new Promise((resolve) => server.close(resolve))
    t.same(received, texts)
  }
)
