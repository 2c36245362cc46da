import { spawn } from 'node:child_process'
import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs'

/**
 * Whether a write to a named pipe changes its time here, on which late collectors rest. Network file systems keep no
 * such times; there every attempt gets its collectors at once.
 */
export function showsWrites(pipe: string, reference: string): boolean {
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
  writeSync(fd, 'x')
  const isShown = statSync(pipe).mtimeMs > statSync(reference).mtimeMs
  closeSync(fd)
  return isShown
}

/** Makes a named pipe with the shell's mkfifo. Rejects where that fails. */
export async function makePipe(shell: string, file: string): Promise<void> {
  const child = spawn(shell, ['-c', 'exec mkfifo -m 600 -- "$1"', 'sh', file], { stdio: 'ignore' })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('exit', resolve)
  })
  if (code !== 0)
    throw new Error(
      `mkfifo could not make ${file} (exit ${code}); the data directory must be on a file system with named pipes`
    )
}
