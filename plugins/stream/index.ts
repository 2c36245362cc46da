import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'
import type {} from '../auth/index.ts'
import type {} from '../storage/index.ts'
import { RoostError } from '../../src/errors.ts'
import { answerSocket } from '../../src/http.ts'
import { createAdmission } from './admission.ts'
import { addStreamMetrics } from './metrics.ts'
import { createStream, type Stream } from './stream.ts'

declare module 'fastify' {
  interface FastifyInstance {
    stream: Stream
  }
}

const subprotocol = 'roost.stream.v1'
/** Readers send nothing; a larger message is closed with 1009. */
const maxMessageBytes = 4096
const closeGraceMs = 2_000

export interface StreamPluginOptions {
  /** Streams open at one time, in all and of one token. */
  readers: number
  readersPerToken: number
}

export default fp<StreamPluginOptions>(
  async (app, { readers, readersPerToken }) => {
    const stream = createStream({
      storage: app.storage,
      log: app.log,
      admission: createAdmission({ readers, readersPerToken, watch: app.auth.watch }),
      tracing: app.observability.tracing
    })
    app.decorate('stream', stream)
    addStreamMetrics(app.observability, stream)
    await app.register(websocket, {
      options: {
        maxPayload: maxMessageBytes,
        // The bearer subprotocol is a secret: it is never echoed.
        handleProtocols: (offered: Set<string>) => (offered.has(subprotocol) ? subprotocol : false)
      },
      // The default waits for every client to answer the close; ours cuts the silent ones.
      preClose: async () => {
        await stream.close(closeGraceMs)
        app.websocketServer.close()
      }
    })
    app.websocketServer.on('wsClientError', (error: Error, socket: Duplex) => {
      answerSocket(
        socket,
        new RoostError('bad-request', `That is no WebSocket handshake of version 13: ${error.message}`, {
          headers: { 'Sec-WebSocket-Version': '13' }
        })
      )
    })
  },
  {
    name: 'stream',
    dependencies: ['observability', 'storage', 'auth'],
    decorators: { fastify: ['observability', 'storage', 'auth'] }
  }
)
