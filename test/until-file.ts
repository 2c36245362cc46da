import { watch } from 'node:fs'

/** Resolves when `fits` is true; asked at once and after each change in `folder`. */
export async function untilFile(folder: string, fits: () => boolean): Promise<void> {
  // Watched before the first look: a change between the two is not missed.
  const watcher = watch(folder)
  try {
    await new Promise<void>((resolve, reject) => {
      const look = () => fits() && resolve()
      watcher.on('change', look)
      watcher.on('error', reject)
      look()
    })
  } finally {
    watcher.close()
  }
}
