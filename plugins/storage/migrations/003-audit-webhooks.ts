import type { Migration } from './migration.ts'

export const auditAndWebhooks: Migration = {
  version: 3,
  name: 'audit-webhooks',
  statements: ({ integer, table, clustered }) => [
    'alter table audit add column actor_name text',
    'alter table audit add column address text',
    'alter table audit add column client text',
    'create index audit_at on audit (at, seq)',
    `create table audit_index (
      kind text not null, value text not null, seq ${integer} not null, primary key (kind, value, seq)
    )${clustered}`,
    `insert into audit_index select distinct 'tenant', tenant, seq from audit_subjects`,
    `insert into audit_index select distinct 'action', action, seq from audit_subjects`,
    `insert into audit_index select 'actor', actor, seq from audit`,
    `insert into audit_index select 'subject', subject, seq from audit`,
    'drop table audit_subjects',
    `create table webhook_deliveries (
      id text primary key, job_id text not null, tenant text not null,
      submitted_by text not null, submitted_by_name text,
      url text not null, host text not null, secret text, type text not null, body text not null,
      state text not null, attempts ${integer} not null, next_at ${integer},
      claimed_by text, last_at ${integer}, last_status ${integer}, last_error text,
      created_at ${integer} not null, ended_at ${integer}
    )${table}`,
    "create index webhook_deliveries_due on webhook_deliveries (next_at) where state = 'pending'",
    'create index webhook_deliveries_job on webhook_deliveries (job_id, id)',
    'create index webhook_deliveries_ended on webhook_deliveries (ended_at) where ended_at is not null',
    "create index webhook_deliveries_failed on webhook_deliveries (state) where state = 'failed'"
  ]
}
