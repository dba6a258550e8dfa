// IPv6 addresses as text: RFC 4291 §2.2, RFC 5954 (the grammar SIP uses), canonical spelling RFC 5952 §4.

const WORDS = 8

/**
 * The canonical text of an IPv6 address without brackets ("2001:DB8:0::1" → "2001:db8::1"), so that equal addresses are
 * equal texts; null when `text` is none. IPv4-mapped addresses end in dotted decimals (RFC 5952 §5).
 */
export function ipv6Text(text: string): string | null {
  const words = ipv6Words(text)
  if (words === null) return null
  if (words[5] === 0xffff && words.slice(0, 5).every((word) => word === 0)) {
    const [high = 0, low = 0] = words.slice(6)
    return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  }
  const gap = longestGap(words)
  if (gap.length < 2) return words.map(hex).join(':')
  return `${words.slice(0, gap.start).map(hex).join(':')}::${words
    .slice(gap.start + gap.length)
    .map(hex)
    .join(':')}`
}

function hex(word: number): string {
  return word.toString(16)
}

/** The first longest run of zero words. */
function longestGap(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let i = 0; i <= words.length; i += 1) {
    if (words[i] === 0) continue
    if (i - start > best.length) best = { start, length: i - start }
    start = i + 1
  }
  return best
}

/** The eight 16-bit words, or null. */
function ipv6Words(text: string): number[] | null {
  if (text.length < 2 || text.length > 45) return null
  const gap = text.indexOf('::')
  if (gap < 0) {
    const words = wordsOf(text, true)
    return words !== null && words.length === WORDS ? words : null
  }
  const before = wordsOf(text.slice(0, gap), false)
  const after = wordsOf(text.slice(gap + 2), true)
  if (before === null || after === null || before.length + after.length >= WORDS) return null
  return [...before, ...new Array<number>(WORDS - before.length - after.length).fill(0), ...after]
}

/** Words between single colons; the last may be an IPv4 address when it ends the text. */
function wordsOf(text: string, last: boolean): number[] | null {
  if (text === '') return []
  const words: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      words.push(Number.parseInt(part, 16))
      continue
    }
    if (!last || i !== parts.length - 1 || !/^\d{1,3}(?:\.\d{1,3}){3}$/.test(part)) return null
    const octets = part.split('.').map(Number)
    const [a = 0, b = 0, c = 0, d = 0] = octets
    if (octets.some((octet) => octet > 255)) return null
    words.push(a * 256 + b, c * 256 + d)
  }
  return words
}
