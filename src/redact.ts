/** What stands where a secret stood. */
const mask = '[redacted]'
/** Shorter values are words of a language: replacing them would tear texts apart and hide nothing. */
const shortestSecret = 8
const mostRemembered = 1_000

const remembered = new Set<string>()

/** What is a secret by its form, whoever sent it: tokens, JWTs, the password of a URL, secrets in a query string. */
const forms: readonly [form: RegExp, replacement: string][] = [
  [/\b(bearer|basic)(\s+)[^\s"'\\,]+/gi, `$1$2${mask}`],
  [/\broost\.bearer\.[\w-]+/g, `roost.bearer.${mask}`],
  [/\broost_[\w-]{20,}/g, mask],
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, mask],
  [/([a-z][a-z0-9+.-]*:\/\/[^\s/:@"'\\]*):[^\s/@"'\\]+@/gi, `$1:${mask}@`],
  [/([?&](?:access_|api_?)?(?:token|key|secret|password)=)[^\s&"'\\#]+/gi, `$1${mask}`]
]

/** Makes {@link redact} know a value of this process: a token, a password, a secret that a job was given. */
export function rememberSecret(value: string): void {
  if (value.length < shortestSecret) return
  remembered.delete(value)
  remembered.add(value)
  // The oldest goes: a node may hand out any number of secrets over the years.
  if (remembered.size > mostRemembered) for (const oldest of remembered) return void remembered.delete(oldest)
}

/** Makes {@link redact} know the password in a URL, as it is written there and as it is meant. */
export function rememberPassword(url: string): void {
  const written = URL.canParse(url) ? new URL(url).password : ''
  rememberSecret(written)
  // A sign that is no escape stands for itself.
  if (!/%(?![0-9a-f]{2})/i.test(written)) rememberSecret(decodeURIComponent(written))
}

/**
 * The text without the secrets that this process knows and without what looks like one. The last line of defence of logs,
 * problems and spans, which are not to hold any to begin with.
 */
export function redact(text: string): string {
  let clean = text
  for (const secret of remembered) {
    if (clean.includes(secret)) clean = clean.replaceAll(secret, mask)
    const escaped = JSON.stringify(secret).slice(1, -1)
    if (escaped !== secret && clean.includes(escaped)) clean = clean.replaceAll(escaped, mask)
  }
  for (const [form, replacement] of forms) clean = clean.replace(form, replacement)
  return clean
}
