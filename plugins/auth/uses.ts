import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../../src/contracts/clock.ts'
import type { Storage } from '../../src/contracts/storage.ts'

export interface UsesOptions {
  storage: Storage
  clock: Clock
  log: FastifyBaseLogger
}

/** Uses are stored this long after the first that is not: a token that is used all the time costs a row a minute. */
const storeAfterMs = 60_000

/** When each token was last looked up. A crash loses at most the last minute of it. */
export function createUses({ storage, clock, log }: UsesOptions) {
  const noted = new Map<string, number>()
  let timer: { cancel(): void } | null = null

  async function store(): Promise<void> {
    timer = null
    const entries = [...noted]
    if (entries.length === 0) return
    try {
      await storage.write(async (tx) => {
        for (const [id, at] of entries) await tx.tokens.touch(id, at)
      })
      for (const [id, at] of entries) if (noted.get(id) === at) noted.delete(id)
    } catch (error) {
      log.warn({ err: error }, 'the last use of tokens could not be stored')
    }
  }

  return {
    note(id: string): void {
      noted.set(id, clock.now())
      timer ??= clock.setTimeout(() => void store(), storeAfterMs)
    },
    /** Later than what is stored, or null. */
    last: (id: string): number | null => noted.get(id) ?? null,
    async close(): Promise<void> {
      timer?.cancel()
      await store()
    }
  }
}
