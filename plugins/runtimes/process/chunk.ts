/** Most bytes of one output observation: as base64 they still fit a frame of 64 KiB. */
export const chunkBytes = 48 * 1024

/** How eager the reader is: `full` more is there already, `fresh` more may come, `waited` it did not, `end` no more comes. */
export type Eagerness = 'full' | 'fresh' | 'waited' | 'end'

/**
 * How many of `bytes` to hand on now; 0 = wait for more. Lines stay whole where their end is in reach, and a UTF-8
 * character is not split; only `end` takes everything.
 */
export function cut(bytes: Uint8Array, eagerness: Eagerness): number {
  if (eagerness === 'end') return bytes.length
  if (eagerness !== 'waited') {
    const line = bytes.lastIndexOf(10) + 1
    if (line > 0 || eagerness === 'fresh') return line
  }
  const whole = bytes.length - unfinishedCharacter(bytes)
  return whole === 0 && eagerness === 'full' ? bytes.length : whole
}

/** Length of the UTF-8 character at the end of `bytes` that lacks bytes, else 0. */
function unfinishedCharacter(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!
    if (byte >= 0b1100_0000) {
      const length = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : 2
      return byte < 0b1111_1000 && length > back ? back : 0
    }
    if (byte < 0b1000_0000) return 0
  }
  return 0
}
