import type { Migration } from './migration.ts'

export const tokenUses: Migration = {
  version: 4,
  name: 'token-uses',
  statements: ({ integer }) => [`alter table tokens add column last_used_at ${integer}`]
}
