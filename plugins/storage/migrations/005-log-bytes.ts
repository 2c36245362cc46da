import type { Migration } from './migration.ts'

/** How much output the log of an attempt keeps, for quotas; of attempts before this it is not known and counts as none. */
export const logBytes: Migration = {
  version: 5,
  name: 'log-bytes',
  statements: ({ integer }) => [`alter table attempts add column log_bytes ${integer} not null default 0`]
}
