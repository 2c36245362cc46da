/** Tells once that the service is lost, however often it is tried again, and once that it is back. */
export interface LossNotes {
  readonly isAway: boolean
  /** `who` of several that wait: it is back when it is for all of them. */
  lost(why: string, who?: string): void
  back(who?: string): void
}

/** `say` writes a line on stderr, on a terminal or not: who waits for up to 15 minutes is told what for. */
export function createLossNotes(say: (text: string) => void): LossNotes {
  const away = new Set<string>()
  return {
    get isAway() {
      return away.size > 0
    },
    lost(why, who = '') {
      if (away.size === 0) say(`lost the service; trying again for up to 15 minutes (${why})`)
      away.add(who)
    },
    back(who = '') {
      if (away.delete(who) && away.size === 0) say('the service is back')
    }
  }
}
