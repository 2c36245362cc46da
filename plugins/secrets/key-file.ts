import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

const keyBytes = 32

/** The key file is not as it must be; the message says what to do. */
export class KeyFileError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'KeyFileError'
  }
}

/** The key in `file`; null where there is no such file. Throws KeyFileError where others may read it or it is no key. */
export async function readKeyFile(file: string): Promise<Buffer | null> {
  let mode: number
  try {
    mode = (await stat(file)).mode
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  if ((mode & 0o077) !== 0) {
    throw new KeyFileError(
      `The key file ${file} may be read by others (mode ${(mode & 0o777).toString(8).padStart(4, '0')}): run chmod 600 on it`
    )
  }
  const key = await readFile(file)
  if (key.length !== keyBytes) {
    throw new KeyFileError(
      `The key file ${file} has ${key.length} bytes where a key has ${keyBytes}: put the right file back; without it stored secrets cannot be opened`
    )
  }
  return key
}

/** The key in `file`, made (0600) where there is none. Two processes at once end up with the same key. */
export async function openKeyFile(file: string): Promise<Buffer> {
  const kept = await readKeyFile(file)
  if (kept !== null) return kept
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  await withFile(await open(draft, 'wx', 0o600), async (handle) => {
    await handle.writeFile(randomBytes(keyBytes))
    await handle.sync()
  })
  try {
    // link, not rename: it fails where the file has come into being meanwhile, and a crash never leaves half a key.
    await link(draft, file)
    await withFile(await open(dirname(file), 'r'), async (folder) => await folder.sync())
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(draft)
  }
  return (await readKeyFile(file))!
}

async function withFile(handle: FileHandle, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await use(handle)
  } finally {
    await handle.close()
  }
}
