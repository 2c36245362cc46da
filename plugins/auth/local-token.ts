import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** 192 random bits. */
export const newToken = (): string => `roost_${randomBytes(24).toString('base64url')}`

/** Reads the local token, or makes it. */
export function openLocalToken(file: string): string {
  if (existsSync(file)) {
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
    const token = readFileSync(file, 'utf8').trim()
    if (token.length >= 16) return token
  }
  return writeLocalToken(file)
}

/** A new local token, written whole under another name first, so that no reader sees half of it. */
export function writeLocalToken(file: string): string {
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 })
  const token = newToken()
  const temporary = `${file}.${process.pid}`
  writeFileSync(temporary, `${token}\n`, { mode: 0o600 })
  renameSync(temporary, file)
  return token
}
