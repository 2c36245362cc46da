import * as frame from '../../src/schemas/frame.ts'
import { JobState } from '../../src/schemas/job.ts'

/** `JobState#` of Ajv as a reference within this document. */
function withLocalRefs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withLocalRefs)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '$id')
      .map(([key, member]) => [
        key,
        key === '$ref' && typeof member === 'string'
          ? `#/components/schemas/${member.replace(/#$/, '')}`
          : withLocalRefs(member)
      ])
  )
}

/** The AsyncAPI 3 document of /stream/{id}: what a client receives, from the schemas that make the OpenAPI document. */
export function asyncApi(version: string): object {
  const frames = {
    StatusFrame: frame.StatusFrame,
    LogFrame: frame.LogFrame,
    ResultFrame: frame.ResultFrame,
    ErrorFrame: frame.ErrorFrame,
    HeartbeatFrame: frame.HeartbeatFrame
  }
  const names = Object.keys(frames)
  return {
    asyncapi: '3.0.0',
    info: { title: 'Roost job stream', version, license: { name: 'Apache-2.0' } },
    defaultContentType: 'application/json',
    channels: {
      jobStream: {
        address: '/stream/{id}',
        description:
          'The log of one job: replayed from `from` (or the last `tail` log frames), then followed. After the last frame (result or error) the server closes with 1000. Subprotocol roost.stream.v1; a browser passes its token as the subprotocol roost.bearer.<base64url>.',
        parameters: { id: { description: 'The job id.' } },
        messages: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
        bindings: {
          ws: {
            method: 'GET',
            query: {
              type: 'object',
              properties: { from: { type: 'integer', minimum: 1 }, tail: { type: 'integer', minimum: 0 } }
            }
          }
        }
      }
    },
    operations: {
      followJob: {
        action: 'send',
        channel: { $ref: '#/channels/jobStream' },
        summary: 'The server sends frames; the client sends nothing.',
        messages: names.map((name) => ({ $ref: `#/channels/jobStream/messages/${name}` }))
      }
    },
    components: {
      messages: Object.fromEntries(
        names.map((name) => [
          name,
          { name, contentType: 'application/json', payload: { $ref: `#/components/schemas/${name}` } }
        ])
      ),
      schemas: Object.fromEntries(
        [...Object.entries(frames), ['JobState', JobState] as const].map(([name, schema]) => [
          name,
          withLocalRefs(schema)
        ])
      )
    }
  }
}
