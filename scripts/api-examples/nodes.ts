import type { Example } from './example.ts'

export const nodeExamples: Example[] = [
  { operation: 'listPods', title: 'What runs here', query: { runtime: 'process' }, status: 200 },
  { operation: 'listNodes', title: 'This node', status: 200 },
  {
    operation: 'drainNode',
    title: 'Before the machine is switched off',
    params: { id: 'local' },
    status: 202
  },
  { operation: 'undrainNode', title: 'Back again', params: { id: 'local' }, status: 202 },
  { operation: 'drainNode', title: 'No such node', params: { id: 'nowhere' }, status: 404 },
  { operation: 'getHealth', title: 'Without a token', token: null, status: 200 },
  { operation: 'getHealth', title: 'With a token', status: 200 },
  { operation: 'getLive', title: 'A probe', token: null, status: 200 },
  { operation: 'getReady', title: 'With every check', token: null, query: { verbose: '' }, status: 200 },
  {
    operation: 'evict',
    title: 'Make room; the job waits and starts again',
    body: { jobId: '{{sleeper}}', reason: 'the machine is needed', gracePeriodSeconds: 5 },
    status: 202
  },
  {
    operation: 'evict',
    title: 'A job that has ended',
    body: { jobId: '{{job}}' },
    status: 409
  }
]

export const queueExamples: Example[] = [
  {
    operation: 'scheduleJob',
    title: 'A job behind another, once more',
    isSetup: true,
    body: { name: 'later', task: { type: 'process', command: ['true'] }, dependsOn: ['{{sleeper}}'] },
    status: 202,
    keep: { queued: 'id' }
  },
  { operation: 'listQueue', title: 'What waits, and for what', status: 200 }
]
