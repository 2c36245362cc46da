import { createHash } from 'node:crypto'
import { auditAct, auditRecord, system, type Requester } from '../../src/audit.ts'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Storage } from '../../src/contracts/storage.ts'
import { canonicalJson } from '../../src/json.ts'

export interface AuditOptions {
  storage: Storage
  clock: Clock
}

/** What is said of a start. */
export interface Start {
  node: { id: string; name: string }
  version: string
  /** With its secrets masked. */
  configuration: Record<string, unknown>
}

/** Records of what is no change of a row of ours. Everything else appends its record in the transaction of its change. */
export function createAudit({ storage, clock }: AuditOptions) {
  return {
    /** An act outside of the storage, with a record before and one after. Throws what `act` throws. */
    act: <T>(by: Requester, action: string, subject: string, act: () => Promise<T>): Promise<T> =>
      auditAct({ storage, clock }, by, { action, subject }, act),

    /** A start, with what may have changed while no service was there to say so: program, configuration, database. */
    async start({ node, version, configuration }: Start): Promise<void> {
      await storage.write(async (tx) => {
        const restored = await tx.settings.get('restored')
        await tx.audit.append(
          auditRecord(system, clock.now(), 'service.start', node.id, {
            name: node.name,
            version,
            configuration: hashOf(configuration),
            restored: restored === null ? null : (JSON.parse(restored) as unknown)
          })
        )
      })
    },

    /** The newest entry as SEQ:HASH; null in an empty audit. */
    async head(): Promise<string | null> {
      const head = await storage.audit.head()
      return head === null ? null : `${head.seq}:${head.hash}`
    }
  }
}

/** Two starts with the same configuration have the same hash, in whatever order its keys were given. */
function hashOf(configuration: Record<string, unknown>): string {
  return `sha256:${createHash('sha256').update(canonicalJson(configuration)).digest('hex')}`
}
