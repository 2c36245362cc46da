import { toMillicores } from '../quantity.ts'
import type { Needs } from '../placement/index.ts'

/** What a job asks for, a tenant holds or a node has, in whole numbers, so that sums never drift. */
export interface Amounts {
  millicores: number
  memoryBytes: number
  gpu: number
  /** Attempts at one time; every job needs one. */
  slots: number
}

export const amountNames = ['millicores', 'memoryBytes', 'gpu', 'slots'] as const
export type AmountName = (typeof amountNames)[number]

export const nothing: Amounts = { millicores: 0, memoryBytes: 0, gpu: 0, slots: 0 }

export const toAmounts = ({ cpu, memoryBytes, gpu, slots = 1 }: Needs & { slots?: number }): Amounts => ({
  millicores: toMillicores(cpu),
  memoryBytes: Math.ceil(memoryBytes),
  gpu,
  slots
})

export const plus = (a: Amounts, b: Amounts): Amounts => ({
  millicores: a.millicores + b.millicores,
  memoryBytes: a.memoryBytes + b.memoryBytes,
  gpu: a.gpu + b.gpu,
  slots: a.slots + b.slots
})

export const minus = (a: Amounts, b: Amounts): Amounts => ({
  millicores: a.millicores - b.millicores,
  memoryBytes: a.memoryBytes - b.memoryBytes,
  gpu: a.gpu - b.gpu,
  slots: a.slots - b.slots
})

/** What is negative counts as none. */
export const atLeastNothing = (a: Amounts): Amounts => ({
  millicores: Math.max(0, a.millicores),
  memoryBytes: Math.max(0, a.memoryBytes),
  gpu: Math.max(0, a.gpu),
  slots: Math.max(0, a.slots)
})

/** Of what is not asked for there may be less than nothing: more was promised than there is now. */
export const fits = (needs: Amounts, room: Amounts): boolean =>
  (needs.millicores === 0 || needs.millicores <= room.millicores) &&
  (needs.memoryBytes === 0 || needs.memoryBytes <= room.memoryBytes) &&
  (needs.gpu === 0 || needs.gpu <= room.gpu) &&
  (needs.slots === 0 || needs.slots <= room.slots)
