import type { Example } from './example.ts'

export const streamExamples: Example[] = [
  {
    operation: 'streamJob',
    title: 'The whole log',
    params: { id: '{{job}}' },
    status: 101
  },
  {
    operation: 'streamJob',
    title: 'Without an upgrade',
    params: { id: '{{job}}' },
    status: 426
  },
  {
    operation: 'followJob',
    title: 'From the fourth frame on',
    params: { id: '{{job}}' },
    query: { from: '4' },
    status: 200
  },
  {
    operation: 'followJob',
    title: 'An EventSource that has seen the last frame',
    params: { id: '{{job}}' },
    headers: { 'Last-Event-ID': '5' },
    status: 204
  },
  {
    operation: 'readJobLogs',
    title: 'The last line',
    params: { id: '{{job}}' },
    query: { tail: '1' },
    status: 200
  }
]
