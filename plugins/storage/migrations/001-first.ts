import type { Migration } from './migration.ts'

export const first: Migration = {
  version: 1,
  name: 'first',
  statements: ({ numbered, integer, table, clustered }) => [
    // The large columns stand last: SQLite reads a row from its front and stops where it has what it needs.
    `create table jobs (
      number ${numbered}, id text not null unique, tenant text not null, name text, state text not null, finished ${integer} not null,
      reason text, message text, node text,
      created_at ${integer} not null, started_at ${integer}, finished_at ${integer}, not_before ${integer},
      expires_at ${integer}, last_seq ${integer} not null default 0,
      intent text, result text, spec text not null, placement text
    )${table}`,
    // Ids are ordered by time, so an index that ends in the id gives "newest first" without sorting.
    'create index jobs_state on jobs (state, id)',
    'create index jobs_tenant_state on jobs (tenant, state, id)',
    'create index jobs_name on jobs (name, id) where name is not null',
    'create index jobs_unfinished_name on jobs (tenant, name) where finished = 0 and name is not null',
    'create index jobs_expiry on jobs (expires_at) where expires_at is not null',
    `create table attempts (
      job_id text not null references jobs (id) on delete cascade, number ${integer} not null,
      state text not null, node text not null, runtime text not null, pod text,
      exit_code ${integer}, signal text, reason text, started_at ${integer}, finished_at ${integer},
      cursor text, gpus text not null, deadline_at ${integer},
      primary key (job_id, number)
    )${clustered}`,
    `create table job_labels (
      key text not null, value text not null, job_id text not null, primary key (key, value, job_id)
    )${clustered}`,
    `create table job_dependencies (
      depends_on text not null, job_id text not null, primary key (depends_on, job_id)
    )${clustered}`,
    // The frames of a job lie side by side under one integer: appending takes half the time of a key (job_id, seq), and
    // replay a third of that of an index (docs/decisions/002-group-commit.md).
    `create table events (key ${integer} primary key, type text not null, json text not null)${table}`,
    `create table agents (
      id text primary key, name text not null, kind text not null, local ${integer} not null, state text not null,
      facts text not null, seen_at ${integer} not null
    )${table}`,
    `create table audit (
      seq ${integer} primary key, at ${integer} not null, actor text not null, tenant text not null,
      action text not null, subject text not null, request_id text, detail text not null,
      previous_hash text not null, hash text not null
    )${table}`,
    `create table audit_subjects (
      tenant text not null, action text not null, seq ${integer} not null, primary key (tenant, action, seq)
    )${clustered}`,
    'create index audit_subjects_action on audit_subjects (action, seq)',
    `create table idempotency (
      tenant text not null, key text not null, body_hash text not null, job_id text not null, response text not null,
      created_at ${integer} not null, primary key (tenant, key)
    )${table}`,
    'create index idempotency_created on idempotency (created_at)',
    `create table tokens (
      id text primary key, name text not null, tenant text not null, scopes text not null, hash text not null unique,
      created_at ${integer} not null, expires_at ${integer}, revoked_at ${integer}
    )${table}`,
    `create table leases (
      name text primary key, holder text not null, token ${integer} not null, expires_at ${integer} not null
    )${table}`,
    `create table secrets (
      tenant text not null, name text not null, sealed text not null, updated_at ${integer} not null,
      primary key (tenant, name)
    )${table}`,
    `create table settings (key text primary key, value text not null)${table}`
  ]
}
