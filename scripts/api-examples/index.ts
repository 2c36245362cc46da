import { adminExamples } from './admin.ts'
import { documentExamples } from './documents.ts'
import type { Example } from './example.ts'
import { jobExamples } from './jobs.ts'
import { nodeExamples, queueExamples } from './nodes.ts'
import { streamExamples } from './streams.ts'

/**
 * Every example of docs/api.md and of the OpenAPI document, in the order in which they are sent to one service: each
 * finds what those before it left. `npm run gen` sends them and records the answers (plugins/openapi/examples.gen.json),
 * test/integration/api-examples.test.ts sends them again and compares.
 */
export const examples: Example[] = [
  ...jobExamples,
  ...streamExamples,
  ...queueExamples,
  ...nodeExamples,
  ...adminExamples,
  ...documentExamples
]
