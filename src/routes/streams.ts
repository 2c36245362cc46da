import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/scheduler/index.ts'
import type {} from '../../plugins/stream/index.ts'
import { RoostError } from '../errors.ts'
import type {} from '../../plugins/openapi/index.ts'
import { problems } from '../problem.ts'
import { Frame } from '../schemas/frame.ts'
import { JobParams } from '../schemas/list.ts'
import { ref } from '../schemas/ref.ts'
import { requesterOf } from './requester.ts'

const StreamQuery = Type.Object(
  {
    from: Type.Optional(
      Type.Integer({ minimum: 1, description: 'First seq wanted, inclusive; up to lastSeq + 1.' })
    ),
    tail: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: 'Only the last N log frames, then what follows.'
      })
    )
  },
  { additionalProperties: false }
)

const StreamEvent = Type.Object({
  id: Type.Optional(
    Type.String({ pattern: '^[0-9]{1,15}$', description: 'The seq of the frame; a heartbeat has none.' })
  ),
  data: Type.String({
    contentMediaType: 'application/json',
    contentSchema: ref(Frame),
    description: 'A Frame as JSON.'
  })
})

declare module 'fastify' {
  interface FastifyRequest {
    /** Where the stream begins, worked out before the upgrade. */
    streamStart: { from: number; finished: boolean } | null
  }
}

export const streamRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.decorateRequest('streamStart', null)

  app.route({
    method: 'GET',
    url: '/stream/:id',
    exposeHeadRoute: false,
    config: { scope: 'read:jobs' },
    schema: {
      operationId: 'streamJob',
      tags: ['streams'],
      summary: "A job's log as a WebSocket of frames",
      description:
        'Replays from `from` (or the last `tail` log frames) and follows. After the last frame the server closes with 1000. Subprotocol roost.stream.v1; each message is one Frame. See /asyncapi.json.',
      params: JobParams,
      querystring: StreamQuery,
      response: {
        101: Type.Null({ description: 'Switching to WebSocket.' }),
        200: { ...ref(Frame), description: 'Each message of the WebSocket.' },
        ...problems('job-not-found', 'upgrade-required', 'too-many-streams')
      }
    },
    // Everything that can be refused is refused before the upgrade.
    preHandler: async (request) => {
      const { principal } = requesterOf(request)
      app.stream.admit(principal)
      const job = await app.scheduler.get(request.params.id, principal)
      const { from, lastSeq } = await app.stream.startOf(job.id, request.query)
      request.streamStart = { from, finished: job.finishedAt !== null && from > lastSeq }
    },
    handler: async () => {
      throw new RoostError(
        'upgrade-required',
        'Open this path as a WebSocket; over plain HTTP take /v1/jobs/{id}/events',
        { headers: { upgrade: 'websocket', connection: 'Upgrade' } }
      )
    },
    wsHandler: (socket, request) => {
      app.stream.serve(socket, request.raw.socket, {
        jobId: request.params.id,
        principal: requesterOf(request).principal,
        traceparent: request.traceparent,
        ...request.streamStart!
      })
    }
  })

  app.get(
    '/v1/jobs/:id/events',
    {
      config: {
        scope: 'read:jobs',
        requestHeaders: {
          'last-event-id': Type.String({
            pattern: '^[0-9]{0,15}$',
            description: 'The seq of the last frame that was seen; the answer goes on behind it.'
          })
        }
      },
      exposeHeadRoute: false,
      schema: {
        operationId: 'followJob',
        tags: ['streams'],
        summary: "A job's log as server-sent events",
        description:
          'The same frames; the id of each event is its seq. `Last-Event-ID` goes on behind it; 204 where that was the last frame.',
        params: JobParams,
        querystring: StreamQuery,
        response: {
          200: {
            description: 'Events, each of this form.',
            content: { 'text/event-stream': { schema: StreamEvent } }
          },
          204: Type.Null({ description: 'Nothing will follow.' }),
          ...problems('job-not-found', 'too-many-streams')
        }
      }
    },
    async (request, reply) => {
      const { principal } = requesterOf(request)
      app.stream.admit(principal)
      const job = await app.scheduler.get(request.params.id, principal)
      const header = request.headers['last-event-id']
      const lastEventId = header === undefined || header === '' ? null : String(header)
      if (lastEventId !== null && !/^\d{1,15}$/.test(lastEventId)) {
        const message = `must be the seq of a frame; got ${JSON.stringify(lastEventId.slice(0, 40))}`
        throw new RoostError('invalid', `Last-Event-ID ${message}`, {
          errors: [{ in: 'header', pointer: '/last-event-id', message }]
        })
      }
      const { from, lastSeq } = await app.stream.startOf(
        job.id,
        lastEventId === null ? request.query : { from: Number(lastEventId) + 1 }
      )
      if (job.finishedAt !== null && from > lastSeq) return reply.code(204).send(null)
      return reply
        .headers({
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no'
        })
        .send(app.stream.events({ jobId: job.id, from, principal }, goneSignal(reply)))
    }
  )

  app.get(
    '/v1/jobs/:id/logs',
    {
      config: { scope: 'read:jobs' },
      exposeHeadRoute: false,
      schema: {
        operationId: 'readJobLogs',
        tags: ['streams'],
        summary: 'What a job printed, as plain text',
        params: JobParams,
        querystring: Type.Object(
          {
            follow: Type.Optional(Type.Boolean({ description: 'Goes on until the job has ended.' })),
            tail: Type.Optional(
              Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'Only the last N lines.' })
            ),
            attempt: Type.Optional(Type.Integer({ minimum: 1, description: 'Only this attempt.' }))
          },
          { additionalProperties: false }
        ),
        response: {
          200: {
            description: 'stdout and stderr as they came.',
            content: { 'text/plain': { schema: Type.String() } }
          },
          ...problems('job-not-found', 'too-many-streams')
        }
      }
    },
    async (request, reply) => {
      const { follow = false, tail, attempt } = request.query
      const { principal } = requesterOf(request)
      app.stream.admit(principal)
      const job = await app.scheduler.get(request.params.id, principal)
      const start =
        tail === undefined ? { from: 1, skipBytes: 0 } : await app.stream.lineStart(job.id, tail, attempt)
      return reply
        .headers({ 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
        .send(
          app.stream.text(
            { jobId: job.id, principal, follow, ...start, ...(attempt === undefined ? {} : { attempt }) },
            goneSignal(reply)
          )
        )
    }
  )
}

/** Aborts when the connection of this reply is over. */
function goneSignal(reply: { raw: FastifyReply['raw'] }): AbortSignal {
  const gone = new AbortController()
  // With a reason of its own the abort makes no exception with a stack.
  reply.raw.once('close', () => gone.abort('gone'))
  return gone.signal
}
