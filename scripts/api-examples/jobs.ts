import type { Example } from './example.ts'

const unknownJob = '01kb7n3c4d5e6f7g8h9jkmnpzz'
const sleeper = { type: 'process', command: ['sleep', '600'] }

export const jobExamples: Example[] = [
  {
    operation: 'scheduleJob',
    title: 'A command',
    headers: { 'Idempotency-Key': '"nightly-2026-12-01"' },
    body: {
      name: 'nightly',
      task: { type: 'process', command: ['sh', '-c', 'echo building $TARGET'] },
      env: { TARGET: 'docs' },
      resources: { cpu: 0.5, memory: '256Mi' },
      labels: { team: 'docs' },
      timeoutSeconds: 600
    },
    status: 202,
    keep: { job: 'id' }
  },
  {
    operation: 'scheduleJob',
    title: 'The same request once more',
    headers: { 'Idempotency-Key': '"nightly-2026-12-01"' },
    body: {
      name: 'nightly',
      task: { type: 'process', command: ['sh', '-c', 'echo building $TARGET'] },
      env: { TARGET: 'docs' },
      resources: { cpu: 0.5, memory: '256Mi' },
      labels: { team: 'docs' },
      timeoutSeconds: 600
    },
    status: 202
  },
  {
    operation: 'scheduleJob',
    title: 'A dry run',
    query: { dryRun: 'true' },
    body: { task: { type: 'process', command: ['make'] }, resources: { cpu: 2 } },
    status: 200
  },
  {
    operation: 'scheduleJob',
    title: 'A webhook that no policy allows',
    body: {
      task: { type: 'process', command: ['make'] },
      webhook: { url: 'https://ci.example.com/roost' }
    },
    status: 403
  },
  {
    operation: 'scheduleJob',
    title: 'A body with two mistakes',
    body: { task: { type: 'process', command: [] }, priorty: 3 },
    status: 422
  },
  {
    operation: 'scheduleJob',
    title: 'A job that no node could ever run',
    body: { task: { type: 'process', command: ['python', 'train.py'] }, resources: { gpu: 8 } },
    status: 422
  },
  {
    operation: 'scheduleJob',
    title: 'Another body under the same key',
    headers: { 'Idempotency-Key': '"nightly-2026-12-01"' },
    body: { task: { type: 'process', command: ['true'] } },
    status: 422
  },
  {
    operation: 'listJobs',
    title: 'Jobs of a team that succeeded',
    after: { job: '{{job}}', is: 'ended' },
    query: { state: 'succeeded', label: 'team=docs', limit: '1' },
    status: 200
  },
  {
    operation: 'getJob',
    title: 'A job that has ended',
    params: { id: '{{job}}' },
    status: 200
  },
  { operation: 'getJob', title: 'No such job', params: { id: unknownJob }, status: 404 },
  {
    operation: 'rerunJob',
    title: 'Once more',
    params: { id: '{{job}}' },
    status: 202,
    keep: { rerun: 'id' }
  },
  {
    operation: 'scheduleJob',
    title: 'A job that takes long',
    isSetup: true,
    body: { task: sleeper },
    status: 202,
    after: { job: '{{rerun}}', is: 'ended' },
    keep: { sleeper: 'id' }
  },
  {
    operation: 'scheduleJob',
    title: 'A job behind another',
    isSetup: true,
    body: { name: 'report', task: { type: 'process', command: ['true'] }, dependsOn: ['{{sleeper}}'] },
    after: { job: '{{sleeper}}', is: 'running' },
    status: 202,
    keep: { waiting: 'id' }
  },
  {
    operation: 'cancelJob',
    title: 'A job that waits',
    params: { id: '{{waiting}}' },
    query: { reason: 'not needed any more' },
    status: 202
  },
  {
    operation: 'cancelJob',
    title: 'A job that has ended already',
    params: { id: '{{waiting}}' },
    status: 409
  },
  {
    operation: 'cancelJob',
    title: 'A job that has ended, with its log, for good',
    params: { id: '{{waiting}}' },
    query: { purge: 'true' },
    status: 204
  },
  { operation: 'listJobWebhooks', title: 'A job without any', params: { id: '{{rerun}}' }, status: 200 },
  { operation: 'listJobWebhooks', title: 'An unknown job', params: { id: unknownJob }, status: 404 }
]
