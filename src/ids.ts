import { randomFillSync } from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const randomBlock = Buffer.allocUnsafe(16 * 256)
let blockAt = randomBlock.length
let lastMs = -1
const tail = new Uint8Array(16)

/**
 * A time-ordered id: 48 bits of milliseconds and 80 random bits as 26 lower-case Crockford base32 characters (the
 * ULID layout). Within a millisecond the random part counts up, so ids of one process sort as they were made.
 */
export function newId(nowMs: number = Date.now()): string {
  if (nowMs > lastMs) {
    lastMs = nowMs
    if (blockAt === randomBlock.length) {
      randomFillSync(randomBlock)
      blockAt = 0
    }
    for (let i = 0; i < 16; i++) tail[i] = randomBlock[blockAt + i]! & 31
    // Leaves room to count up within the millisecond without overflow.
    tail[0]! &= 15
    blockAt += 16
  } else {
    for (let i = 15; i >= 0; i--) {
      if (tail[i]! < 31) {
        tail[i]!++
        break
      }
      tail[i] = 0
    }
  }
  let id = ''
  let ms = lastMs
  for (let i = 0; i < 10; i++) {
    id = alphabet[ms % 32]! + id
    ms = Math.floor(ms / 32)
  }
  for (let i = 0; i < 16; i++) id += alphabet[tail[i]!]!
  return id
}
