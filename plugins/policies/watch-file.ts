import { realpathSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Clock } from '../../src/contracts/clock.ts'

export interface WatchedFile {
  close(): void
}

/** An editor truncates before it writes, a rename is two events: look when it has been quiet for this long. */
const settleMs = 100
/** Network disks and some containers tell of no change: look now and then all the same. */
const lookEveryMs = 10_000

/**
 * Calls `look` a moment after anything happened to the file: written in place, renamed over, or a symlink on its way
 * swapped (as Kubernetes does it with ConfigMaps). What is watched is the folder, as a renamed file is another file.
 * `look` must be cheap where nothing has changed.
 */
export function watchFile(
  file: string,
  clock: Clock,
  look: () => void,
  warn: (message: string) => void
): WatchedFile {
  let watchers: FSWatcher[] = []
  let watched = ''
  let settling: { cancel(): void } | null = null
  let ticking: { cancel(): void } = { cancel: () => {} }

  /** The folder that names the file, and that of the file behind its symlinks. */
  function folders(): string[] {
    const real = realpath(file)
    return [...new Set([dirname(file), ...(real === null ? [] : [dirname(real)])])]
  }

  function follow(): void {
    const wanted = folders()
    if (watched === wanted.join('\n')) return
    for (const watcher of watchers) watcher.close()
    watchers = []
    watched = ''
    try {
      for (const folder of wanted) {
        const watcher = watch(folder, { persistent: false }, settle)
        watcher.on('error', () => (watched = ''))
        watchers.push(watcher)
      }
      watched = wanted.join('\n')
    } catch (error) {
      warn(`${basename(file)} is looked at every ${lookEveryMs / 1000} s only: ${(error as Error).message}`)
    }
  }

  function settle(): void {
    settling?.cancel()
    settling = clock.setTimeout(() => {
      follow()
      look()
    }, settleMs)
  }

  function tick(): void {
    ticking = clock.setTimeout(() => {
      follow()
      look()
      tick()
    }, lookEveryMs)
  }

  follow()
  tick()
  return {
    close() {
      settling?.cancel()
      ticking.cancel()
      for (const watcher of watchers) watcher.close()
    }
  }
}

function realpath(file: string): string | null {
  try {
    return realpathSync(file)
  } catch {
    return null
  }
}
