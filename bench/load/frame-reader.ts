import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { crc32 } from 'node:zlib'

export interface ReaderOptions {
  port: number
  path: string
  token: string
  /** Reads about so many bytes, then nothing for so long, and so on. */
  slow: { bytes: number; pauseMs: number } | null
}

/** What one reader saw of a log. */
export interface Reading {
  frames: number
  lastSeq: number
  /** Frames that did not follow the one before by exactly one. */
  faults: number
  /** Of the payloads, in order: two readers with the same sum read the same log. */
  bytes: number
  checksum: number
  /** Whether the last frame was a result or an error, and the code the server closed with (0: it did not). */
  ended: boolean
  closeCode: number
  pauses: number
}

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const
const seqName = Buffer.from('"seq":')
const zero = 48

/**
 * Reads a stream over a WebSocket of its own making: no more than what a benchmark needs, so that a thousand readers fit
 * into half of a small machine, and so that a pause is one of the TCP socket.
 */
export function readStream({ port, path, token, slow }: ReaderOptions): {
  opened: Promise<void>
  done: Promise<Reading>
} {
  const reading: Reading = {
    frames: 0,
    lastSeq: 0,
    faults: 0,
    bytes: 0,
    checksum: 0,
    ended: false,
    closeCode: 0,
    pauses: 0
  }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let resolveOpened: () => void = () => {}
  let rejectOpened: (error: Error) => void = () => {}
  const opened = new Promise<void>((resolve, reject) => {
    resolveOpened = resolve
    rejectOpened = reject
  })
  let pending: Buffer = Buffer.alloc(0)
  let upgraded = false
  let sincePause = 0

  const done = new Promise<Reading>((resolve, reject) => {
    const fail = (error: Error) => {
      rejectOpened(error)
      reject(error)
      socket.destroy()
    }
    socket.on('error', fail)
    socket.on('close', () => resolve(reading))
    socket.on('data', (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      if (!upgraded) {
        const end = pending.indexOf('\r\n\r\n')
        if (end === -1) return
        if (!pending.toString('latin1', 0, 12).endsWith(' 101'))
          return fail(new Error(pending.toString('utf8')))
        upgraded = true
        pending = pending.subarray(end + 4)
        resolveOpened()
      }
      pending = pending.subarray(takeFrames(pending))
      if (slow === null) return
      sincePause += chunk.length
      if (sincePause < slow.bytes) return
      sincePause = 0
      reading.pauses++
      socket.pause()
      setTimeout(() => socket.resume(), slow.pauseMs)
    })
    socket.on('connect', () => {
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Protocol: roost.stream.v1\r\n\r\n`
      )
    })
  })

  /** Takes the whole frames at the head; returns how many bytes they were (RFC 6455 §5.2). */
  function takeFrames(buffer: Buffer): number {
    let at = 0
    while (buffer.length - at >= 2) {
      let length = buffer.readUInt8(at + 1) & 127
      let head = 2
      if (length === 126) {
        if (buffer.length - at < 4) break
        length = buffer.readUInt16BE(at + 2)
        head = 4
      } else if (length === 127) {
        if (buffer.length - at < 10) break
        length = Number(buffer.readBigUInt64BE(at + 2))
        head = 10
      }
      if (buffer.length - at < head + length) break
      take(buffer.readUInt8(at), buffer.subarray(at + head, at + head + length))
      at += head + length
    }
    return at
  }

  function take(first: number, payload: Buffer): void {
    const opcode = first & 15
    if (opcode === opcodes.ping) return reply(opcodes.pong, payload)
    if (opcode === opcodes.close) {
      reading.closeCode = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
      reply(opcodes.close, payload.subarray(0, 2))
      socket.end()
      return
    }
    if (first !== (128 | opcodes.text)) {
      reading.faults++
      return
    }
    const seq = seqOf(payload)
    if (seq === null) return // A heartbeat: not in the log.
    if (seq !== reading.lastSeq + 1) reading.faults++
    reading.lastSeq = seq
    reading.frames++
    reading.bytes += payload.length
    reading.checksum = crc32(payload, reading.checksum)
    const type = payload.toString('latin1', 0, 16)
    reading.ended = type.startsWith('{"type":"result"') || type.startsWith('{"type":"error"')
  }

  function reply(opcode: number, payload: Buffer): void {
    // A client masks what it sends; the mask may be zero.
    socket.write(Buffer.concat([Buffer.from([128 | opcode, 128 | payload.length, 0, 0, 0, 0]), payload]))
  }

  return { opened, done }
}

function seqOf(payload: Buffer): number | null {
  const found = payload.indexOf(seqName)
  if (found === -1) return null
  let seq = 0
  for (let at = found + seqName.length; ; at++) {
    const digit = (payload[at] ?? 0) - zero
    if (digit < 0 || digit > 9) return seq
    seq = seq * 10 + digit
  }
}
