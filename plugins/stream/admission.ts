import { RoostError } from '../../src/errors.ts'
import type { Principal } from '../../src/schemas/token.ts'

export interface AdmissionOptions {
  /** Streams open at one time, in all and of one token. */
  readers: number
  readersPerToken: number
  /** Calls back once when the principal's token expires or is revoked; returns the end of the watch. */
  watch(principal: Principal, onOver: (why: string) => void): () => void
}

const retryLater = { 'retry-after': '10' }

/** Who may open one more stream, and for how long: until its token is good no more. */
export function createAdmission({ readers, readersPerToken, watch }: AdmissionOptions) {
  const open = new Map<string, number>()
  let total = 0
  return {
    /** Throws `too-many-streams`, `overloaded`. */
    check({ tokenId, name }: Principal): void {
      if ((open.get(tokenId) ?? 0) >= readersPerToken) {
        throw new RoostError(
          'too-many-streams',
          `The token "${name}" has ${readersPerToken} streams open; close some`,
          { headers: retryLater }
        )
      }
      if (total >= readers) {
        throw new RoostError(
          'overloaded',
          `${readers} streams are open, which is all that this node serves`,
          {
            headers: retryLater
          }
        )
      }
    },

    /** Counts a stream that is open now. Returns what must be called at its end, once or more often. */
    hold(principal: Principal, onOver: (why: string) => void): () => void {
      const { tokenId } = principal
      let held = true
      total++
      open.set(tokenId, (open.get(tokenId) ?? 0) + 1)
      const unwatch = watch(principal, onOver)
      return () => {
        if (!held) return
        held = false
        unwatch()
        total--
        const left = open.get(tokenId)! - 1
        if (left === 0) open.delete(tokenId)
        else open.set(tokenId, left)
      }
    }
  }
}

export type Admission = ReturnType<typeof createAdmission>
