import fp from 'fastify-plugin'
import { parseCpu, parseMemory } from '../../src/domain/quantity.ts'
import { createCapacity, type Capacity, type CapacityOptions } from './capacity.ts'

export type { Capacity }

declare module 'fastify' {
  interface FastifyInstance {
    /** What this node has, and to which jobs it is promised. */
    capacity: Capacity
  }
}

type Amount = number | string

/** Overrides of what is found, as in a job: cores such as 2 or "500m", memory such as "8Gi". */
export interface CapacityPluginOptions {
  cpu?: Amount
  memory?: Amount
  slots?: number
  reserve?: { cpu?: Amount; memory?: Amount }
}

export default fp<CapacityPluginOptions>(
  async (app, { cpu, memory, slots, reserve }) => {
    const capacity = createCapacity({
      clock: app.clock,
      ...amounts(cpu, memory, 'capacity'),
      ...(slots === undefined ? {} : { slots }),
      reserve: amounts(reserve?.cpu, reserve?.memory, 'capacity.reserve')
    })
    for (const problem of await capacity.probe()) app.log.warn(problem)
    app.decorate('capacity', capacity)
    const { gauge } = app.observability
    gauge({ name: 'roost_cpu_requested_cores', help: 'Cores promised to attempts.' }, (set) =>
      set(capacity.snapshot().cpu.requested)
    )
    gauge({ name: 'roost_cpu_allocatable_cores', help: 'Cores that attempts may be promised.' }, (set) =>
      set(capacity.snapshot().cpu.allocatable)
    )
    gauge({ name: 'roost_memory_requested_bytes', help: 'Memory promised to attempts.' }, (set) =>
      set(capacity.snapshot().memory.requested)
    )
    gauge({ name: 'roost_memory_allocatable_bytes', help: 'Memory that attempts may be promised.' }, (set) =>
      set(capacity.snapshot().memory.allocatable)
    )
  },
  { name: 'capacity', dependencies: ['observability'], decorators: { fastify: ['clock', 'observability'] } }
)

function amounts(
  cpu: Amount | undefined,
  memory: Amount | undefined,
  key: string
): Pick<CapacityOptions, 'cpu' | 'memoryBytes'> {
  return {
    ...(cpu === undefined ? {} : { cpu: required(parseCpu(cpu), `${key}.cpu`, cpu) }),
    ...(memory === undefined ? {} : { memoryBytes: required(parseMemory(memory), `${key}.memory`, memory) })
  }
}

function required(amount: number | null, key: string, written: Amount): number {
  if (amount === null)
    throw new Error(`${key}: "${written}" is no amount; write cores as 2 or "500m", memory as 8Gi`)
  return amount
}
