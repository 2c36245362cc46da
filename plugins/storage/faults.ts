import { RoostError } from '../../src/errors.ts'

/** Seconds after which a client may try again. */
const retryAfter = '5'

/** The 503 for everybody who waits for the storage. */
export function unavailable(detail: string, cause?: unknown): RoostError {
  return new RoostError('storage-unavailable', detail, {
    headers: { 'retry-after': retryAfter },
    ...(cause === undefined ? {} : { cause })
  })
}
