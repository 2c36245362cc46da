import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Gives `work` a temporary folder and removes it afterwards. */
export async function withFolder<T>(name: string, work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(await realpath(tmpdir()), `roost-${name}-`))
  try {
    return await work(path)
  } finally {
    await rm(path, { recursive: true, force: true, maxRetries: 5 })
  }
}
