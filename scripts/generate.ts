/**
 * Writes what follows from the schemas: the command's API types, the recorded examples and docs/api.md. With --check it
 * writes nothing and fails where a file would change.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import openapiTS, { astToString } from 'openapi-typescript'
import type { FastifyInstance } from 'fastify'
import { createApp } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'
import { ConfigSchema, environment, secretKeys } from '../src/config/schema.ts'
import { catalogue } from '../src/errors.ts'
import type { Examples } from '../plugins/openapi/examples.ts'
import { exampleConfig, recordExamples } from './api-examples/record.ts'
import { apiSections, type ApiDocument, type Schema } from './api-page.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const dataDir = mkdtempSync(join(tmpdir(), 'roost-generate-'))
let app: FastifyInstance | undefined
try {
  const { config } = loadConfig(['--data-dir', dataDir, '--log-level', 'error'], {})
  app = await createApp({ ...config, ...exampleConfig })
  const examples = await recordExamples(app, dataDir)
  const document = app.swagger() as unknown as ApiDocument
  const types = astToString(await openapiTS(JSON.stringify(document), { defaultNonNullable: false }))
  const files: Record<string, string> = {
    'src/cli/api.gen.ts': `// Made by \`npm run gen\` from the OpenAPI document; do not edit.\n${types}`,
    'plugins/openapi/examples.gen.json': `${JSON.stringify(examples, null, 2)}\n`,
    'docs/api.md': apiPage(document, examples)
  }
  const changed = Object.entries(files).filter(([path, text]) => read(path) !== text)
  for (const [path, text] of changed) {
    if (process.argv.includes('--check'))
      console.error(`${path} is not what the schemas say: run npm run gen`)
    else writeFileSync(join(root, path), text)
  }
  if (process.argv.includes('--check')) process.exitCode = changed.length === 0 ? 0 : 1
  else if (changed.length > 0)
    console.log(
      execFileSync('git', ['status', '--short', ...changed.map(([path]) => path)], {
        cwd: root,
        encoding: 'utf8'
      })
    )
} finally {
  await app?.close()
  rmSync(dataDir, { recursive: true, force: true })
}

function read(path: string): string | null {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return null
  }
}

function apiPage(document: ApiDocument, examples: Examples): string {
  const errors = Object.entries(catalogue).map(
    ([code, [status, title]]) => `| \`${code}\` | ${status} | ${title} |`
  )
  const variables = Object.entries(environment).map(([name, [key]]) => {
    const { default: fallback, description = '' } = ConfigSchema.properties[key] as Schema
    const shown = secretKeys.includes(key) || fallback === '' ? '' : `\`${JSON.stringify(fallback)}\``
    return `| \`${name}\` | \`${key}\` | ${shown} | ${description.replaceAll('|', '\\|')} |`
  })
  return `<!-- Made by \`npm run gen\` from the schemas; do not edit. -->
# The API

A running service shows the whole of it: \`/docs\` (Swagger UI), \`/openapi.json\` (OpenAPI 3.1), \`/asyncapi.json\` (the
stream, AsyncAPI 3). Errors are \`application/problem+json\` (RFC 9457), each with one of the [codes](#error-codes)
below; lists are \`{items, cursor}\`. Every answer has an \`x-request-id\`: the request's own where it sent one.

Each example was sent to a service as it stands here, one after the other, and the answer is what came; ids, times,
hashes and figures of the machine are replaced by some that stay. With \`TOKEN=$(roost token)\` they are yours to try.

${apiSections(document, examples)}

## Error codes

| code | status | meaning |
| --- | --- | --- |
${errors.join('\n')}

## Environment

| variable | key in roost.yaml | default | |
| --- | --- | --- | --- |
${variables.join('\n')}

Further: \`ROOST_CONFIG\` names the file, \`ROOST_URL\` the service that the command talks to, \`ROOST_CACHE_DIR\` the
launcher's cache, \`ROOST_SECRET_NAME\` a secret for jobs.
`
}
