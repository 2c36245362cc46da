import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import { createValidatorCompiler } from '../../src/validation.ts'
import { Job, JobSpec } from '../../src/schemas/job.ts'
import { ref } from '../../src/schemas/ref.ts'
import { sharedSchemas } from '../../src/schemas/index.ts'
import { answerParent } from '../child.ts'

/*
 * The baseline of accepting: Fastify with the same body schema and the same response schema, and nothing else. No
 * storage, auth, metrics, limits or log.
 */
export async function listenBare(): Promise<string> {
  const app = Fastify()
  app.setValidatorCompiler(createValidatorCompiler())
  for (const schema of sharedSchemas) app.addSchema(schema)
  let count = 0
  app.post(
    '/schedule',
    { schema: { body: ref(JobSpec), response: { 202: ref(Job) } } },
    async (request, reply) => {
      const spec = request.body as JobSpec
      const id = `job-${++count}`
      const job: Job = {
        id,
        tenant: 'default',
        name: spec.name ?? null,
        state: 'queued',
        reason: null,
        message: null,
        spec,
        node: null,
        attempts: [],
        placement: null,
        result: null,
        createdAt: new Date().toISOString(),
        startedAt: null,
        finishedAt: null,
        lastSeq: 1
      }
      return reply.code(202).header('location', `/v1/jobs/${id}`).send(job)
    }
  )
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

if (process.send !== undefined) {
  answerParent(listenBare)
} else if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // For the bench of idle: said in the same words as the service's ready line.
  process.stdout.write(`${JSON.stringify({ ready: true, url: await listenBare() })}\n`)
}
