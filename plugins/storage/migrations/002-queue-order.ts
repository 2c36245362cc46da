import type { Migration } from './migration.ts'

/** Who submitted a job, for quotas by token; and which job an attempt was preempted for. */
export const queueOrder: Migration = {
  version: 2,
  name: 'queue-order',
  statements: () => [
    "alter table jobs add column submitted_by text not null default 'local'",
    "alter table jobs add column submitted_by_name text default 'local'",
    'alter table attempts add column preempted_by text'
  ]
}
