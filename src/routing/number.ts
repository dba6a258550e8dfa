// Telephone numbers in the user part of SIP and tel URIs (RFC 3261 §19.1.6, RFC 3966 §3, E.164). Hot: once a call.

/** E.164 §6: country code and national number together. */
const E164_DIGITS_MAX = 15
/** Dialled digits beyond this are no number (RFC 3966 sets no bound). */
export const DIGITS_MAX = 32
/** A user part longer than this is not looked at: separators and parameters included. */
const USER_LENGTH_MAX = 256

const PLUS = 0x2b
const SEMICOLON = 0x3b

/**
 * The number that the user part of a URI stands for: "+" and up to 15 digits (E.164), or up to 32 of the dialled
 * characters 0-9 * #. Visual separators (RFC 3966 §3: - . ( ) and, for leniency, blanks) are dropped, parameters after ";"
 * are not part of it. Null when it is no number: then it is only a name.
 */
export function parseNumber(user: string): string | null {
  const length = user.length
  if (length === 0 || length > USER_LENGTH_MAX) return null
  const global = user.charCodeAt(0) === PLUS
  const begin = global ? 1 : 0
  let end = begin
  let separators = 0
  for (; end < length; end++) {
    const code = user.charCodeAt(end)
    if (code === SEMICOLON) break
    if (isDigit(code) || (!global && isLocalOnly(code))) continue
    if (!isSeparator(code)) return null
    separators++
  }
  const digits = end - begin - separators
  if (digits === 0 || digits > (global ? E164_DIGITS_MAX : DIGITS_MAX)) return null
  if (separators === 0) return end === length ? user : user.slice(0, end)
  return user.slice(0, end).replace(/[-.() ]/g, '')
}

/** Whether a number from {@link parseNumber} is in E.164 form. */
export function isE164(number: string): boolean {
  return number.charCodeAt(0) === PLUS
}

/** The E.164 form with "+" when `user` is such a number; everything else stays as it is. */
export function normaliseNumber(user: string): string {
  return parseNumber(user) ?? user
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** "*" and "#": dialled characters of local numbers (RFC 3966 §5.1.5). */
function isLocalOnly(code: number): boolean {
  return code === 0x2a || code === 0x23
}

function isSeparator(code: number): boolean {
  return code === 0x2d || code === 0x2e || code === 0x28 || code === 0x29 || code === 0x20
}
