import querystring from 'node:querystring'

/** What stands where a secret stood. */
const mask = '[redacted]'
/** Shorter values are words of a language: replacing them would tear texts apart and hide nothing. */
const shortestSecret = 8
const mostGiven = 1_000

/** The service's own: a few, as long as it lives. */
const own = new Set<string>()
/** What jobs were given; the oldest goes, as a node may hand out any number over the years. */
const given = new Set<string>()
/** As they may be written, the longest first: one may begin with another. Null: to be made again. */
let written: readonly string[] | null = null

/** What is a secret by its form, whoever sent it: tokens, JWTs, the password of a URL, secrets in a query string. */
// Every repetition is bounded and every beginning is one place: a text made to be slow must cost no more than its length.
const forms: readonly [form: RegExp, replacement: string][] = [
  // A word is no credential: those have a digit, a capital or padding, and some length.
  [
    /\b([Bb]earer|BEARER|[Bb]asic|BASIC)(\s{1,8})(?=[^\s"'\\,]{0,512}[\dA-Z=])[^\s"'\\,]{8,8192}/g,
    `$1$2${mask}`
  ],
  [/\broost\.bearer\.[\w-]{1,8192}/g, `roost.bearer.${mask}`],
  [/\broost_[\w-]{20,512}/g, mask],
  [/(?<![\w-])eyJ[\w-]{8,4096}\.[\w-]{1,8192}\.[\w-]{0,4096}/g, mask],
  [/(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/:@"'\\]{0,256}):[^\s/@"'\\]{1,512}@/gi, `$1:${mask}@`],
  [/([?&](?:access_|api_?)?(?:token|key|secret|password)=)[^\s&"'\\#]+/gi, `$1${mask}`]
]

/** Makes {@link redact} know a secret of the service: a token, a password. */
export function rememberSecret(value: string): void {
  if (value.length < shortestSecret || own.has(value)) return
  own.add(value)
  written = null
}

/** Makes {@link redact} know a secret that a job is given; the last thousand are known. */
export function rememberGiven(value: string): void {
  if (value.length < shortestSecret) return
  if (!given.delete(value)) written = null
  given.add(value)
  if (given.size > mostGiven) for (const oldest of given) return void given.delete(oldest)
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

/**
 * The text without the secrets that this process knows and without what looks like one. The last line of defence of logs,
 * problems and spans, which are not to hold any to begin with.
 */
export function redact(text: string): string {
  let clean = text
  written ??= [...own, ...given].flatMap(writings).sort((a, b) => b.length - a.length)
  for (const secret of written) if (clean.includes(secret)) clean = clean.replaceAll(secret, mask)
  for (const [form, replacement] of forms) clean = clean.replace(form, replacement)
  return clean
}
