import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/** Whose secret it is: sealed with it, so that a row moved to another tenant or name does not open. */
export interface Owner {
  tenant: string
  name: string
}

/** Encrypts a value for its owner: base64 of nonce, tag and cipher text (AES-256-GCM). */
export function seal(key: Buffer, owner: Owner, value: string): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(associated(owner))
  const text = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64')
}

/** The value; null where the key, the owner or the bytes are not those it was sealed with. */
export function unseal(key: Buffer, owner: Owner, sealed: string): string | null {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < nonceBytes + tagBytes) return null
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes
  })
  decipher.setAAD(associated(owner))
  decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString(
      'utf8'
    )
  } catch {
    return null
  }
}

const associated = ({ tenant, name }: Owner): Buffer =>
  Buffer.from(JSON.stringify(['roost.secret.v1', tenant, name]))
