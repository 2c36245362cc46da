import type { Transaction } from '../../src/contracts/storage.ts'

/** Whether the work that holds a transaction still runs, and how many of its calls have not settled. */
class Gate {
  isOpen = true
  pending = 0
  #whenQuiet: (() => void) | null = null

  readonly settle = (): void => {
    this.pending -= 1
    if (this.pending === 0) this.#whenQuiet?.()
  }

  async quiet(): Promise<void> {
    while (this.pending > 0)
      await new Promise<void>((resolve) => {
        this.#whenQuiet = resolve
      })
  }
}

/**
 * Runs one work after the other, each with a transaction that ends with it. A call after the end throws, and a work
 * that ends while a call of its own has not settled (an `await` was lost) fails: otherwise the rest of that call would
 * count to the next work.
 */
export function createWorkRunner(
  writers: Transaction
): <T>(work: (tx: Transaction) => Promise<T>) => Promise<T> {
  const guards = {
    jobs: guardOf(writers.jobs),
    events: guardOf(writers.events),
    agents: guardOf(writers.agents),
    audit: guardOf(writers.audit),
    idempotency: guardOf(writers.idempotency),
    tokens: guardOf(writers.tokens),
    leases: guardOf(writers.leases),
    secrets: guardOf(writers.secrets),
    settings: guardOf(writers.settings),
    webhooks: guardOf(writers.webhooks)
  }

  return async (work) => {
    const gate = new Gate()
    const tx: Transaction = {
      jobs: guards.jobs(gate),
      events: guards.events(gate),
      agents: guards.agents(gate),
      audit: guards.audit(gate),
      idempotency: guards.idempotency(gate),
      tokens: guards.tokens(gate),
      leases: guards.leases(gate),
      secrets: guards.secrets(gate),
      settings: guards.settings(gate),
      webhooks: guards.webhooks(gate)
    }
    let lost = 0
    try {
      const value = await work(tx)
      lost = gate.pending
      if (lost === 0) return value
    } finally {
      gate.isOpen = false
      await gate.quiet()
    }
    throw new Error(`A work ended while ${lost} of its calls had not: await every call of the transaction`)
  }
}

type Method = (...parameters: unknown[]) => Promise<unknown>

/** Makes objects with the methods of `repository` that ask the gate first. Its prototype is made once, not for each work. */
function guardOf<T extends object>(repository: T): (gate: Gate) => T {
  const prototype: Record<string, unknown> = {}
  for (const [name, method] of Object.entries(repository) as [string, Method][]) {
    prototype[name] = function (this: { gate: Gate }, ...parameters: unknown[]): Promise<unknown> {
      const { gate } = this
      if (!gate.isOpen) throw new Error(`The transaction has ended: ${name} was called after its work`)
      gate.pending += 1
      const done = method(...parameters)
      done.then(gate.settle, gate.settle)
      return done
    }
  }
  function Guarded(this: { gate: Gate }, gate: Gate) {
    this.gate = gate
  }
  Guarded.prototype = prototype
  return (gate) => Reflect.construct(Guarded, [gate]) as T
}
