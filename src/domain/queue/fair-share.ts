import { amountNames, type Amounts } from './amounts.ts'

/**
 * The largest part of any resource of `total` that is used, 0 to 1 (more where more was promised than there is now);
 * what there is none of does not count. Dominant-resource fairness gives to whom has the least of it.
 */
export function dominantShare(used: Amounts, total: Amounts): number {
  let largest = 0
  for (const name of amountNames) {
    if (used[name] > 0 && total[name] > 0) largest = Math.max(largest, used[name] / total[name])
  }
  return largest
}

/** What each of these tenants may use while all of them want more: its part of the weights. */
export function fairShares(weights: ReadonlyMap<string, number>): Map<string, number> {
  let sum = 0
  for (const weight of weights.values()) sum += weight
  return new Map([...weights].map(([tenant, weight]) => [tenant, weight / sum]))
}
