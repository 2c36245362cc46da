const header = (name: string, description: string, schema: object) => ({
  in: 'header' as const,
  name,
  required: true,
  description,
  schema
})

/** What Roost itself sends, for the document; the body's schema is WebhookEvent. */
export const webhooks = {
  'job-ended': {
    post: {
      operationId: 'jobEnded',
      tags: ['jobs'],
      summary: 'Sent by Roost to the `webhook` of a job when it has ended, as Standard Webhooks have it',
      description:
        'At least once, with the same webhook-id at every try. Verify it with a library of standardwebhooks.com and the key of GET /v1/webhooks/secret, or the secret that the job names.',
      security: [],
      parameters: [
        header('webhook-id', 'The same at every try.', { type: 'string' }),
        header('webhook-timestamp', 'Of this try, in seconds since the epoch.', { type: 'integer' }),
        header('webhook-signature', '`v1,` and HMAC-SHA-256 of id, timestamp and body, in base64.', {
          type: 'string'
        })
      ],
      requestBody: {
        required: true,
        content: { 'application/json': { schema: { $ref: '#/components/schemas/WebhookEvent' } } }
      },
      responses: {
        '2XX': { description: 'Taken: it is delivered.' },
        default: {
          description: 'It is sent again later, and Retry-After is honoured; 410: it is not sent again.'
        }
      }
    }
  }
}
