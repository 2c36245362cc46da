import type { Clock } from '../../src/contracts/clock.ts'
import type { Principal } from '../../src/schemas/token.ts'

/** Called once, with why the token is good no more. */
type OnOver = (why: string) => void

/** Tells those who hold something open for a token (a stream) when it expires or is revoked. */
export function createWatches(clock: Clock) {
  const watching = new Map<string, Set<OnOver>>()

  function end(tokenId: string, onOver: OnOver, why: string): void {
    const ofToken = watching.get(tokenId)
    if (ofToken?.delete(onOver) !== true) return
    if (ofToken.size === 0) watching.delete(tokenId)
    onOver(why)
  }

  return {
    /** Returns the end of the watch. */
    add({ tokenId, expiresAt }: Principal, callback: OnOver): () => void {
      // Its own function, as one callback may watch twice.
      const onOver: OnOver = (why) => {
        timer?.cancel()
        callback(why)
      }
      let timer: { cancel(): void } | null = null
      const arm = () => {
        if (expiresAt === undefined) return
        const left = expiresAt - clock.now()
        // Not before the caller has the end of the watch.
        if (left <= 0) queueMicrotask(() => end(tokenId, onOver, 'the token has expired'))
        // A timer may end early where the wait is longer than one can be.
        else timer = clock.setTimeout(arm, left)
      }
      const ofToken = watching.get(tokenId) ?? new Set()
      watching.set(tokenId, ofToken.add(onOver))
      arm()
      return () => {
        timer?.cancel()
        ofToken.delete(onOver)
        if (ofToken.size === 0 && watching.get(tokenId) === ofToken) watching.delete(tokenId)
      }
    },
    tokenIds: (): string[] => [...watching.keys()],
    over(tokenId: string, why: string): void {
      for (const onOver of watching.get(tokenId) ?? []) end(tokenId, onOver, why)
    }
  }
}
