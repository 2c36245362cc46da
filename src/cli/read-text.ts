import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { UsageError } from './exit.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of a file, or of what this command reads where `file` is `-`. Throws a {@link UsageError} that names `flag`. */
export async function readText(file: string, stdin: NodeJS.ReadStream, flag: string): Promise<string> {
  let bytes: Uint8Array
  try {
    bytes = file === '-' ? await buffer(stdin) : await readFile(file)
  } catch (error) {
    throw new UsageError(`${flag} ${file} cannot be read: ${(error as Error).message}`)
  }
  try {
    return utf8.decode(bytes)
  } catch {
    throw new UsageError(
      `${flag} ${file} is not UTF-8 text`,
      'Bytes of another kind reach a job through a file that it opens itself.'
    )
  }
}
