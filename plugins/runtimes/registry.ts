import type { Runtime } from '../../src/contracts/runtime.ts'

/** The runtimes of this node, by name and by the task types they take. */
export function createRuntimes() {
  const byName = new Map<string, Runtime>()
  const byTaskType = new Map<string, Runtime>()
  const names = new Map<string, string>()
  const off = new Map<string, string>()
  return {
    /** Adds a runtime before the service is ready. Throws where its name or one of its task types is taken. */
    add(runtime: Runtime): void {
      if (byName.has(runtime.name)) throw new Error(`There is a runtime "${runtime.name}" already`)
      for (const type of runtime.taskTypes) {
        const other = byTaskType.get(type)
        if (other !== undefined)
          throw new Error(`Runtime "${other.name}" takes tasks of type "${type}" already`)
      }
      byName.set(runtime.name, runtime)
      for (const type of runtime.taskTypes) {
        byTaskType.set(type, runtime)
        names.set(type, runtime.name)
      }
    },
    /** Says why no runtime takes tasks of this type here, and what would change that. */
    switchOff(type: string, why: string): void {
      off.set(type, why)
    },
    /** Task type -> why it is switched off here. */
    switchedOff: (): ReadonlyMap<string, string> => off,
    find: (name: string): Runtime | null => byName.get(name) ?? null,
    forTask: (type: string): Runtime | null => byTaskType.get(type) ?? null,
    list: (): Runtime[] => [...byName.values()],
    /** Task type -> name of the runtime that takes it. */
    taskTypes: (): ReadonlyMap<string, string> => names
  }
}

export type Runtimes = ReturnType<typeof createRuntimes>
