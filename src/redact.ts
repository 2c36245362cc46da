import querystring from 'node:querystring'

/** What stands where a secret stood. */
const masked = '[redacted]'
/** Shorter values are words of a language: replacing them would tear texts apart and hide nothing. */
const shortestSecret = 8

/** The service's own: a few, as long as it lives. What jobs are given is masked where a runtime tells of it. */
const own = new Set<string>()

/** What is a secret by its form, whoever sent it: tokens, JWTs, the password of a URL, secrets in a query string. */
// Every repetition is bounded and every beginning is one place: a text made to be slow must cost no more than its length.
const forms: readonly [form: RegExp, replacement: string][] = [
  // A word is no credential: those have a digit, a capital or padding, and some length.
  [
    /\b([Bb]earer|BEARER|[Bb]asic|BASIC)(\s{1,8})(?=[^\s"'\\,]{0,512}[\dA-Z=])[^\s"'\\,]{8,8192}/g,
    `$1$2${masked}`
  ],
  [/\broost\.bearer\.[\w-]{1,8192}/g, `roost.bearer.${masked}`],
  [/\broost_[\w-]{20,512}/g, masked],
  [/(?<![\w-])eyJ[\w-]{8,4096}\.[\w-]{1,8192}\.[\w-]{0,4096}/g, masked],
  [/(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/:@"'\\]{0,256}):[^\s/@"'\\]{1,512}@/gi, `$1:${masked}@`],
  [/([?&](?:access_|api_?)?(?:token|key|secret|password)=)[^\s&"'\\#]+/gi, `$1${masked}`]
]

/** Makes {@link redact} know a secret of the service: a token, a password. */
export function rememberSecret(value: string): void {
  if (value.length >= shortestSecret) own.add(value)
}

/** Makes {@link redact} know the password in a URL, as it is written there and as it is meant. */
export function rememberPassword(url: string): void {
  const password = URL.canParse(url) ? new URL(url).password : ''
  rememberSecret(password)
  // What it is escaped for: a driver tells of the password as it is meant.
  rememberSecret(querystring.unescape(password))
}

/** As it is, and as JSON has it where that differs. */
function writings(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1)
  return escaped === secret ? [secret] : [secret, escaped]
}

/** The text without these secrets. */
function mask(text: string, secrets: Iterable<string>): string {
  let clean = text
  // The longest first: one may begin with another.
  for (const secret of [...secrets].flatMap(writings).sort((a, b) => b.length - a.length))
    clean = clean.replaceAll(secret, masked)
  return clean
}

/**
 * The text without the service's own secrets and without what looks like one. The last line of defence of logs, problems
 * and spans, which are not to hold any to begin with.
 */
export function redact(text: string): string {
  let clean = mask(text, own)
  for (const [form, replacement] of forms) clean = clean.replace(form, replacement)
  return clean
}

/** A line of the log, its texts redacted one by one: whatever a secret is, the line stays JSON. */
export function redactLine(line: string): string {
  const clean = JSON.stringify(JSON.parse(line), (_key, value: unknown) =>
    typeof value === 'string' ? redact(value) : value
  )
  return `${clean}\n`
}

/** The fault of a runtime that was given these secrets, told without them. */
export function maskFault(error: unknown, secrets: readonly string[]): Error {
  const long = secrets.filter(({ length }) => length >= shortestSecret)
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error))
  return Object.assign(new Error(mask(message, long)), { stack: mask(stack, long) })
}
