import type { AuditRecord } from '../../src/contracts/storage.ts'

/** What one work leaves for the commit besides its rows. */
export interface Traces {
  /** Job id -> its new lastSeq. */
  grown: Map<string, number>
  records: AuditRecord[]
}

/** Where the writers of a connection leave the traces of the work that runs now. */
export interface Session {
  traces: Traces
}

export const emptyTraces = (): Traces => ({ grown: new Map(), records: [] })

/** Adds the traces of a work that succeeded to those of its group. */
export function addTraces(group: Traces, work: Traces): void {
  for (const [id, lastSeq] of work.grown) group.grown.set(id, lastSeq)
  group.records.push(...work.records)
}
