/** A final text frame (RFC 6455 §5.2): FIN and opcode 1. A server does not mask. */
const finalText = 0x81

/**
 * Texts as WebSocket messages, one behind the other in one buffer. A page is encoded once and written once for each
 * reader; `ws` would make a header and a system call for each frame and reader, which was half of a replay.
 */
export function encodeMessages(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text))
  const encoded = Buffer.allocUnsafe(
    lengths.reduce((bytes, length) => bytes + headerLength(length) + length, 0)
  )
  let at = 0
  for (const [i, text] of texts.entries()) {
    at = writeHeader(encoded, at, lengths[i]!)
    at += encoded.write(text, at)
  }
  return encoded
}

const headerLength = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : 10)

function writeHeader(target: Buffer, at: number, length: number): number {
  target[at] = finalText
  if (length < 126) {
    target[at + 1] = length
  } else if (length < 65_536) {
    target[at + 1] = 126
    target.writeUInt16BE(length, at + 2)
  } else {
    target[at + 1] = 127
    target.writeBigUInt64BE(BigInt(length), at + 2)
  }
  return at + headerLength(length)
}
