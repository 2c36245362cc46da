import { sql, type Expression } from 'kysely'

/*
 * A frame's key is the number of its job times 2^28 plus its seq: 268 million frames a job, 2^35 jobs. It is only ever
 * computed in SQL, where integers have 64 bits.
 */
export const keysPerJob = 2 ** 28

/** The key of a frame; `number` is that of its job, as a value or a column. */
export const eventKey = (number: number | Expression<number>, seq: number) =>
  sql<number>`${typeof number === 'number' ? sql`cast(${number} as bigint)` : number} * ${sql.lit(keysPerJob)} + ${seq}`

/** Refuses a frame whose key would be another job's. */
export function checkSeq(jobId: string, lastSeq: number): void {
  if (lastSeq >= keysPerJob)
    throw new Error(`The log of job ${jobId} is full: it has ${keysPerJob - 1} frames`)
}
