import { atLeastNothing, fits, minus, plus, type Amounts } from './amounts.ts'

/** Room that comes back at the latest at a time: an attempt's hard end, its grace included. */
export interface RoomEnd {
  at: number
  needs: Amounts
}

/** The promise to the job that is next but lacks room (EASY backfill): it starts at `at` at the latest. */
export interface Reservation {
  jobId: string
  tenant: string
  /** Milliseconds since the epoch. */
  at: number
  /** What is free at that time beside the job: what others may hold beyond it. */
  spare: Amounts
}

/** A job about to start, as the reservation sees it. */
export interface Overtaker {
  needs: Amounts
  /** When it will have ended at the latest, by its own time-out and grace. */
  endsBy: number
}

/**
 * The earliest time at which `needs` will fit, from what is free now and the hard ends of what runs; null where it will
 * not fit even when all of it has ended.
 */
export function earliestFit(
  needs: Amounts,
  free: Amounts,
  ends: readonly RoomEnd[],
  now: number
): { at: number; spare: Amounts } | null {
  let room = free
  let at = now
  const sorted = ends.toSorted((a, b) => a.at - b.at)
  for (let i = 0; i < sorted.length && !fits(needs, room);) {
    at = Math.max(now, sorted[i]!.at)
    // All that end at one time end before anybody starts.
    while (i < sorted.length && Math.max(now, sorted[i]!.at) === at) room = plus(room, sorted[i++]!.needs)
  }
  return fits(needs, room) ? { at, spare: atLeastNothing(minus(room, needs)) } : null
}

/** Whether a job may start now without delaying the reserved one: it is over by then, or leaves its room free. */
export const leavesRoom = ({ needs, endsBy }: Overtaker, { at, spare }: Reservation): boolean =>
  endsBy <= at || fits(needs, spare)

/** The reservation after that job has started. */
export const afterStart = (job: Overtaker, reservation: Reservation): Reservation =>
  job.endsBy <= reservation.at
    ? reservation
    : { ...reservation, spare: atLeastNothing(minus(reservation.spare, job.needs)) }
