import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { readExamples, type Exchange } from '../../plugins/openapi/examples.ts'
import { examples } from '../../scripts/api-examples/index.ts'
import { exampleConfig, recordExamples } from '../../scripts/api-examples/record.ts'
import { build } from '../build.ts'

interface Document {
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, object> }>>
}

const at = (document: object, reference: string): unknown =>
  reference
    .slice(2)
    .split('/')
    .reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], document)

const escaped = (key: string): string => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))

await t.test('every example of the documents is sent, and what is documented comes back', async (t) => {
  const dataDir = t.testdir()
  const app = await build(t, { ...exampleConfig, dataDir })
  const recorded = readExamples()
  const sent = await recordExamples(app, dataDir)
  t.same(Object.keys(sent), Object.keys(recorded))
  for (const [operation, exchanges] of Object.entries(sent))
    t.same(exchanges, recorded[operation], `${operation}: if the change is meant, npm run gen records it`)

  const document = app.swagger() as unknown as Document
  const check = createAnswerCheck(document)
  for (const [operation, exchanges] of Object.entries(sent))
    for (const { title, answer } of exchanges) t.same(check(operation, answer), [], `${operation}: ${title}`)
})

await t.test('every operation has an example that succeeds', async (t) => {
  const app = await build(t, { process: 'off' })
  await app.ready()
  const succeeding = new Set(examples.filter(({ status }) => status < 300).map(({ operation }) => operation))
  const { paths } = app.swagger() as unknown as Document
  for (const { operationId } of Object.values(paths).flatMap((methods) => Object.values(methods)))
    t.ok(succeeding.has(operationId), `${operationId}: add an example to scripts/api-examples/`)
})

/** What of an answer the document does not allow: its status, its type, or its body by Ajv's words. */
function createAnswerCheck(document: Document) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema({ ...document, $id: 'document' })
  const pathOf = new Map(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => [operationId, ['paths', path, method]])
    )
  )
  return (operation: string, { status, type, body }: Exchange['answer']): string[] => {
    const way = [...pathOf.get(operation)!, 'responses', String(status)]
    const response = way.reduce<unknown>(
      (at, key) => (at as Record<string, unknown> | undefined)?.[key],
      document
    )
    if (response === undefined) return [`${status} is not documented`]
    const { $ref } = response as { $ref?: string }
    const { content = {} } = ($ref === undefined ? response : at(document, $ref)) as {
      content?: Record<string, object>
    }
    // A WebSocket's messages stand under 200; text is not held to a schema.
    if (status === 101 || type === undefined || type.startsWith('text/')) return []
    if (content[type] === undefined) return [`${type} is not documented for ${status}`]
    const pointer = [...($ref?.slice(2).split('/') ?? way), 'content', type, 'schema']
    const validate = ajv.compile({ $ref: `document#/${pointer.map(escaped).join('/')}` })
    return validate(body) ? [] : [ajv.errorsText(validate.errors)]
  }
}
