import type { Example } from './example.ts'

export const adminExamples: Example[] = [
  {
    operation: 'createToken',
    title: 'For a dashboard, for thirty days',
    body: { name: 'dashboard', scopes: ['read:jobs'], expiresInSeconds: 2_592_000 },
    status: 201,
    keep: { token: 'record.id', tokenText: 'token' }
  },
  {
    operation: 'listTokens',
    title: 'A token that lacks the scope',
    token: '{{tokenText}}',
    status: 403
  },
  { operation: 'listTokens', title: 'Every token in force', query: { active: 'true' }, status: 200 },
  { operation: 'revokeToken', title: 'It is not needed any more', params: { id: '{{token}}' }, status: 204 },
  {
    operation: 'listJobs',
    title: 'A token that was revoked',
    token: '{{tokenText}}',
    status: 401
  },
  {
    operation: 'rotateLocalToken',
    title: 'Somebody has seen it',
    status: 200,
    keep: { localToken: 'token' }
  },
  {
    operation: 'setSecret',
    title: 'Set or replaced',
    params: { name: 'api-key' },
    body: { value: 's3cret' },
    status: 204
  },
  { operation: 'listSecrets', title: 'The names', status: 200 },
  { operation: 'removeSecret', title: 'Removed', params: { name: 'api-key' }, status: 204 },
  { operation: 'removeSecret', title: 'It is gone already', params: { name: 'api-key' }, status: 404 },
  { operation: 'listAudit', title: 'The last change', query: { limit: '1' }, status: 200 },
  {
    operation: 'listAudit',
    title: 'Which tokens were made since November',
    query: { action: 'token.create', since: '2026-11-01T00:00:00Z' },
    status: 200
  },
  { operation: 'getPolicies', title: 'No policy file is configured', status: 200 },
  {
    operation: 'explainPolicies',
    title: 'Of a tenant without an account for process jobs',
    query: { tenant: 'students' },
    body: { task: { type: 'process', command: ['make'] } },
    status: 200
  },
  { operation: 'verifyAudit', title: 'Nothing was altered', status: 200 },
  {
    operation: 'verifyAudit',
    title: 'Against a head that is not one',
    query: { expect: 'yesterday' },
    status: 422
  },
  { operation: 'readWebhookSecret', title: 'For a receiver', status: 200 },
  {
    operation: 'backup',
    title: 'Into a file of the machine',
    body: { file: '{{folder}}/roost-monday.db' },
    status: 201
  }
]
