/** Where the storage tells what nobody waits for; Fastify's log fits. */
export interface Log {
  warn(context: object, message: string): void
  error(context: object, message: string): void
}

export const silentLog: Log = { warn: () => {}, error: () => {} }
