import type { Example } from './example.ts'

const first = (...keys: string[]) => {
  return (body: unknown) =>
    Object.fromEntries(Object.entries(body as object).filter(([key]) => keys.includes(key)))
}

export const documentExamples: Example[] = [
  {
    operation: 'getOpenapi',
    title: 'Its first members',
    token: null,
    status: 200,
    shorten: first('openapi', 'servers', 'tags')
  },
  {
    operation: 'getAsyncapi',
    title: 'Its first members',
    token: null,
    status: 200,
    shorten: first('asyncapi', 'info', 'defaultContentType')
  },
  {
    operation: 'getErrors',
    title: 'The page',
    token: null,
    status: 200,
    shorten: (body) => `${String(body).slice(0, 60)}…`
  },
  {
    operation: 'getMetrics',
    title: 'Some of the lines',
    status: 200,
    shorten: (body) =>
      String(body)
        .split('\n')
        .filter((line) => /\broost_(queue_depth|attempts_running)\b/.test(line))
        .join('\n')
  }
]
