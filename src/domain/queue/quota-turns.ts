import type { Rules } from '../policy.ts'
import type { AmountName, Amounts } from './amounts.ts'
import { heldBy, isWithinBound, overQuotas } from './quota.ts'
import type { Running } from './running.ts'
import type { Line, WaitingJob } from './waiting.ts'

/**
 * Quotas in one pass: a job over one waits and holds up nobody but those behind it under the same quota that want some
 * of what it waits for; else small jobs of its own tenant would keep it out for ever. One that no end of another lets
 * start waits for nothing, and holds up nobody.
 */
export function createQuotaTurns({
  running,
  rulesFor
}: {
  running: Running
  rulesFor(tenant: string, token: string, tokenName: string | null): Rules
}) {
  const shut = new Set<Line>()
  /** Tenants and tokens that may start nothing more in this pass: every job needs a slot. */
  const shutScopes = new Set<string>()
  const awaited = new Map<string, Set<AmountName>>()
  const isAwaited = (scope: string, needs: Amounts) =>
    [...(awaited.get(scope) ?? [])].some((amount) => needs[amount] > 0)
  return {
    /** Whether nothing more of the line starts in this pass. */
    isShut: (line: Line): boolean =>
      shut.has(line) ||
      (shutScopes.size > 0 && (shutScopes.has(line.tenant.name) || shutScopes.has(scopesOf(line).token))),
    /** Whether the first job of the line may start as far as quotas go; shuts what may not. */
    mayStart(line: Line, job: WaitingJob): boolean {
      const { quotas } = rulesFor(job.tenant, job.token, job.tokenName)
      if (quotas.length === 0) return true
      const scopes = scopesOf(line)
      const over = overQuotas(quotas, heldBy(running, job), job.needs)
      if (over.length === 0 && !isAwaited(scopes.tenant, job.needs) && !isAwaited(scopes.token, job.needs))
        return true
      shut.add(line)
      const mayEver = over.every(isWithinBound)
      for (const { per, amount } of over) {
        const scope = scopes[per]
        if (amount === 'slots') shutScopes.add(scope)
        else if (mayEver) awaited.set(scope, (awaited.get(scope) ?? new Set()).add(amount))
      }
      return false
    }
  }
}

/** A tenant is a DNS label, so the space cannot be part of it. */
const scopesOf = ({ tenant, token }: Line) => ({ tenant: tenant.name, token: `${tenant.name} ${token}` })
