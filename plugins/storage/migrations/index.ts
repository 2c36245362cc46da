import type { Migration } from './migration.ts'
import { first } from './001-first.ts'
import { queueOrder } from './002-queue-order.ts'
import { auditAndWebhooks } from './003-audit-webhooks.ts'
import { tokenUses } from './004-token-uses.ts'
import { logBytes } from './005-log-bytes.ts'

/** Every step, in order. A new one goes to the end, with the next number. */
export const migrations: readonly Migration[] = [first, queueOrder, auditAndWebhooks, tokenUses, logBytes]
