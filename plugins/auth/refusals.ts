import { RoostError } from '../../src/errors.ts'

const headers = { 'www-authenticate': 'Bearer realm="roost", error="invalid_token"' }

/** What was wrong with a token, as the metrics tell it. */
export type TokenFault = 'malformed' | 'expired' | 'revoked' | 'not-yet' | 'audience' | 'claims'

/** A token that was good or is badly addressed, but is no guess: `unauthorized`. */
export const refused = (kind: TokenFault, why: string, cause?: unknown): RoostError =>
  new RoostError('unauthorized', why, { headers, kind, ...(cause === undefined ? {} : { cause }) })

/** A token that nobody gave out: many of them from one address are guesses (failures.ts). */
export class UnknownToken extends RoostError {
  constructor(why: string, cause?: unknown) {
    super('unauthorized', why, { headers, kind: 'unknown', ...(cause === undefined ? {} : { cause }) })
    this.name = 'UnknownToken'
  }
}
