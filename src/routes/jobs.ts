import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type {} from '../../plugins/scheduler/index.ts'
import type {} from '../../plugins/auth/index.ts'
import { RoostError } from '../errors.ts'
import type {} from '../../plugins/openapi/index.ts'
import { problems } from '../problem.ts'
import { Job, JobSpec, idPattern, jobStates, type JobState } from '../schemas/job.ts'
import { JobParams, limit, list } from '../schemas/list.ts'
import { Placement } from '../schemas/placement.ts'
import { ref } from '../schemas/ref.ts'
import { tenantPattern } from '../schemas/token.ts'
import { requesterOf } from './requester.ts'

const maxKeyLength = 255

const location = Type.String({ description: 'The path of the job.' })
const replayed = Type.String({
  description: '`true` where this is the first answer, given again to its Idempotency-Key.'
})

/** What a client may do with the job of an answer, for the document. */
const jobLinks = (job: string) => {
  const description = `With the id of the ${job}.`
  const byPath = ['getJob', 'cancelJob', 'rerunJob', 'streamJob', 'followJob', 'readJobLogs']
  return {
    ...Object.fromEntries(
      byPath.map((operationId) => [
        operationId,
        { operationId, parameters: { id: '$response.body#/id' }, description }
      ])
    ),
    evict: { operationId: 'evict', requestBody: { jobId: '$response.body#/id' }, description }
  }
}

export const jobRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/schedule',
    {
      config: {
        scope: 'write:jobs',
        requestHeaders: {
          'idempotency-key': Type.String({
            pattern: '^[\\x20-\\x7e]{1,257}$',
            description: 'Replays the first answer to the same body; quoted or bare, the same key.'
          }),
          traceparent: Type.String({
            description: 'W3C trace context; the job gets it. What is none is left out of account.'
          })
        }
      },
      links: { 202: jobLinks('scheduled job') },
      schema: {
        operationId: 'scheduleJob',
        tags: ['jobs'],
        summary: 'Accept a job',
        description:
          'The job is on disk before the reply. `Idempotency-Key` (quoted or bare) replays the first answer to the same body. With `dryRun` nothing is stored: the placement is explained. A busy node is no error: the job is `queued` and says why. An `llm` task needs the scope `llm:invoke` too, also in a dry run.',
        querystring: Type.Object(
          {
            dryRun: Type.Optional(
              Type.Boolean({ description: 'Explains where the job would run, and stores nothing.' })
            ),
            unique: Type.Optional(
              Type.Literal('name', { description: 'Refuse where an unfinished job has the same name.' })
            )
          },
          { additionalProperties: false }
        ),
        body: ref(JobSpec),
        response: {
          200: { ...ref(Placement), description: 'A dry run: the placement, explained.' },
          202: {
            ...ref(Job),
            description: 'Accepted; on disk.',
            headers: { location, 'idempotency-replayed': replayed }
          },
          ...problems(
            'policy-denied',
            'name-in-use',
            'idempotency-in-flight',
            'idempotency-mismatch',
            'unplaceable',
            'quota-exceeded'
          )
        }
      }
    },
    async (request, reply) => {
      // A dry run replays nothing; a key that is none is refused there too.
      const key = idempotencyKey(request.headers['idempotency-key'])
      if (request.query.dryRun === true) {
        return reply.code(200).send(await app.scheduler.plan(request.body, requesterOf(request).principal))
      }
      const { job, replayed, headers } = await app.scheduler.submit(request.body, {
        ...requesterOf(request),
        uniqueName: request.query.unique === 'name',
        ...(key === undefined ? {} : { idempotencyKey: key })
      })
      if (replayed) reply.header('idempotency-replayed', 'true')
      if (headers != null) reply.headers(headers)
      return reply.code(202).header('location', `/v1/jobs/${job.id}`).send(job)
    }
  )

  app.get(
    '/v1/jobs',
    {
      config: { scope: 'read:jobs' },
      schema: {
        operationId: 'listJobs',
        tags: ['jobs'],
        summary: 'List jobs, newest first',
        description: 'A page ends at about 4 MiB: it may be shorter than its limit. The cursor leads on.',
        querystring: Type.Object(
          {
            state: Type.Optional(
              Type.String({
                pattern: `^(${jobStates.join('|')})(,(${jobStates.join('|')}))*$`,
                description: 'One state, or several with commas.'
              })
            ),
            label: Type.Optional(
              Type.String({
                pattern: '^[^=,]+=[^,]*(,[^=,]+=[^,]*)*$',
                description: 'key=value, or several with commas: all must match.'
              })
            ),
            name: Type.Optional(
              Type.String({ minLength: 1, maxLength: 63, description: 'Jobs of exactly this name.' })
            ),
            tenant: Type.Optional(
              Type.String({
                pattern: tenantPattern,
                description: 'Only the admin scope sees other tenants.'
              })
            ),
            limit,
            cursor: Type.Optional(
              Type.String({ pattern: idPattern, description: 'As the page before gave it.' })
            )
          },
          { additionalProperties: false }
        ),
        response: { 200: list(Job, 'Jobs, newest first.') }
      }
    },
    async (request) => {
      const { state, label, limit = 100, ...rest } = request.query
      return await app.scheduler.list(
        {
          ...rest,
          limit,
          ...(state === undefined ? {} : { states: state.split(',') as JobState[] }),
          ...(label === undefined
            ? {}
            : {
                labels: Object.fromEntries(
                  label
                    .split(',')
                    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])
                )
              })
        },
        requesterOf(request).principal
      )
    }
  )

  app.get(
    '/v1/jobs/:id',
    {
      config: { scope: 'read:jobs' },
      schema: {
        operationId: 'getJob',
        tags: ['jobs'],
        summary: 'One job, with why it waits',
        params: JobParams,
        response: { 200: { ...ref(Job), description: 'The job.' }, ...problems('job-not-found') }
      }
    },
    async (request) => await app.scheduler.get(request.params.id, requesterOf(request).principal)
  )

  app.delete(
    '/v1/jobs/:id',
    {
      config: { scope: 'write:jobs' },
      schema: {
        operationId: 'cancelJob',
        tags: ['jobs'],
        summary: 'Cancel a job, or remove a finished one',
        description:
          'A job that waits is cancelled at once; one that runs is ended (TERM, the grace period, KILL) and is `cancelled` when its end is known: follow its stream. With `purge` a finished job goes, with its log.',
        params: JobParams,
        querystring: Type.Object(
          {
            purge: Type.Optional(
              Type.Boolean({ description: 'Removes a finished job with its log, for good: 204.' })
            ),
            reason: Type.Optional(
              Type.String({ minLength: 1, maxLength: 1024, description: 'Stands in the job and the audit.' })
            ),
            gracePeriodSeconds: Type.Optional(
              Type.Number({
                minimum: 0,
                maximum: 3600,
                default: 10,
                description: 'Seconds between TERM and KILL.'
              })
            )
          },
          { additionalProperties: false }
        ),
        response: {
          202: { ...ref(Job), description: 'Cancelled, or being ended.' },
          204: Type.Null({ description: 'Removed.' }),
          ...problems('job-not-found', 'already-finished', 'not-finished')
        }
      }
    },
    async (request, reply) => {
      const { purge, reason, gracePeriodSeconds } = request.query
      if (purge === true) {
        await app.scheduler.purge(request.params.id, requesterOf(request))
        return reply.code(204).send(null)
      }
      return reply
        .code(202)
        .send(await app.scheduler.cancel(request.params.id, requesterOf(request), reason, gracePeriodSeconds))
    }
  )

  app.post(
    '/v1/jobs/:id/rerun',
    {
      config: { scope: 'write:jobs' },
      links: { 202: jobLinks('new job') },
      schema: {
        operationId: 'rerunJob',
        tags: ['jobs'],
        summary: 'Run the same spec once more, without its dependencies, as a job of its own',
        description:
          'The new job belongs to the tenant and the token of the first one, whoever asks: their policies, quotas, secrets, account and webhook. Who asks stands in the audit (`actor`), and in the own tenant must be allowed by policy to submit it. An `llm` task needs the scope `llm:invoke` too.',
        params: JobParams,
        response: {
          202: { ...ref(Job), description: 'A new job, queued.', headers: { location } },
          ...problems('job-not-found', 'policy-denied', 'unplaceable', 'quota-exceeded')
        }
      }
    },
    async (request, reply) => {
      const job = await app.scheduler.rerun(request.params.id, requesterOf(request))
      return reply.code(202).header('location', `/v1/jobs/${job.id}`).send(job)
    }
  )
}

/** `"k"` and `k` are the same key (the header is a structured string; many clients send it bare). */
function idempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  const text = Array.isArray(header) ? header.join(',') : header
  const key = /^"(.*)"$/.exec(text)?.[1] ?? text
  if (key.length === 0 || key.length > maxKeyLength || !/^[\x20-\x7e]+$/.test(key)) {
    const message = `must be 1 to ${maxKeyLength} printable ASCII characters; got ${key.length}`
    throw new RoostError('invalid', `Idempotency-Key ${message}`, {
      errors: [{ in: 'header', pointer: '/idempotency-key', message }]
    })
  }
  return key
}
