import type { Log } from './log.ts'

/** Those who want to hear of `what`, such as "appended events". One that throws is logged and stops nobody. */
export function createListeners<Told extends unknown[]>(log: Log, what: string) {
  const listeners = new Set<(...told: Told) => void>()
  return {
    /** Returns the unsubscribe. */
    add(listener: (...told: Told) => void): () => void {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    tell(...told: Told): void {
      for (const listener of listeners) {
        try {
          listener(...told)
        } catch (error) {
          log.error({ err: error }, `a listener of ${what} threw`)
        }
      }
    },
    clear(): void {
      listeners.clear()
    }
  }
}
