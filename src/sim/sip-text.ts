// A second, plain and strict reading of SIP messages: the simulated agents use it, so that an error in ours is not mirrored.

const COMPACT: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
}
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/
const ONCE = [
  'from',
  'to',
  'call-id',
  'cseq',
  'max-forwards',
  'content-length',
  'content-type',
  'session-expires',
  'min-se',
  'rseq',
  'rack',
  'expires',
]
const HOST = String.raw`(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])`
const PARAMETER = String.raw`(?:\s*;\s*[A-Za-z0-9\-.!%*_+\x60'~]+(?:\s*=\s*(?:[A-Za-z0-9\-.!%*_+\x60'~:\[\]]+|"(?:[^"\\]|\\.)*"))?)`
const VIA = new RegExp(String.raw`^SIP\s*/\s*2\.0\s*/\s*(?:UDP|TCP|TLS)\s+${HOST}(?::\d{1,5})?${PARAMETER}*$`, 'i')
const SIP_URI = new RegExp(
  String.raw`^sips?:(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/%]+(?::[A-Za-z0-9\-_.!~*'()&=+$,%]*)?@)?${HOST}(?::\d{1,5})?(?:;[A-Za-z0-9\-_.!~*'()\[\]/:&+$%=]+)*(?:\?\S+)?$`,
)
const TEL_URI = /^tel:\+?[0-9A-Fa-f*#.()-]+(?:;[^;>\s]+)*$/
const NAME_ADDR = new RegExp(
  String.raw`^(?:(?:"(?:[^"\\]|\\.)*"|[A-Za-z0-9\-.!%*_+\x60'~ ]*)\s*<([^<>\s]+)>|([^<>;,?\s]+))(${PARAMETER}*)$`,
)

/** One message. Header names are in lower case and in full; values are as received. */
export class SipText {
  /** Request: the method; response: ''. */
  method = ''
  uri = ''
  /** Response: the status code; request: 0. */
  status = 0
  reason = ''
  readonly headers: [name: string, value: string][] = []
  body = ''

  /** The message in `text` (latin1), or a sentence that says what is wrong with it. */
  static parse(text: string): SipText | string {
    const message = new SipText()
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return 'no empty line ends the headers'
    message.body = text.slice(end + 4)
    const [start = '', ...lines] = text.slice(0, end).split('\r\n')
    const response = /^SIP\/2\.0 ([1-6]\d\d) ([^\r\n]*)$/.exec(start)
    const request = /^([A-Za-z0-9\-.!%*_+`'~]+) (\S+) SIP\/2\.0$/.exec(start)
    if (response !== null) {
      message.status = Number(response[1])
      message.reason = response[2] ?? ''
    } else if (request !== null) {
      message.method = request[1] ?? ''
      message.uri = request[2] ?? ''
    } else return `the start line '${start}'`
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).trimEnd().toLowerCase()
      if (colon < 1 || !TOKEN.test(name)) return `the header line '${line}'`
      message.headers.push([COMPACT[name] ?? name, line.slice(colon + 1).trim()])
    }
    return message
  }

  static request(method: string, uri: string): SipText {
    const message = new SipText()
    message.method = method
    message.uri = uri
    return message
  }

  get isRequest(): boolean {
    return this.status === 0
  }

  /** The value of the first header of that name, '' when there is none. */
  get(name: string): string {
    for (const [key, value] of this.headers) if (key === name) return value
    return ''
  }

  /** All values of that name: comma lists split, but not where commas belong to the value. */
  all(name: string): string[] {
    const values: string[] = []
    for (const [key, value] of this.headers) {
      if (key !== name) continue
      if (name.endsWith('authenticate') || name.endsWith('authorization')) values.push(value)
      else values.push(...splitList(value))
    }
    return values
  }

  add(name: string, value: string): this {
    this.headers.push([name, value])
    return this
  }

  remove(name: string): this {
    for (let at = this.headers.length - 1; at >= 0; at--) if (this.headers[at]?.[0] === name) this.headers.splice(at, 1)
    return this
  }

  get branch(): string {
    return parameter(this.all('via')[0] ?? '', 'branch')
  }

  get callId(): string {
    return this.get('call-id')
  }

  get fromTag(): string {
    return parameter(this.get('from'), 'tag')
  }

  get toTag(): string {
    return parameter(this.get('to'), 'tag')
  }

  get sequence(): number {
    return Number(this.get('cseq').split(/\s+/)[0])
  }

  /** The method in CSeq. */
  get sequenceMethod(): string {
    return this.get('cseq').split(/\s+/)[1] ?? ''
  }

  /** Whether a comma list such as Supported or Require holds this token. */
  lists(name: string, token: string): boolean {
    return this.all(name).some((value) => value.trim().toLowerCase() === token)
  }

  toText(): string {
    const start = this.isRequest ? `${this.method} ${this.uri} SIP/2.0` : `SIP/2.0 ${this.status} ${this.reason}`
    const lines = this.headers.map(([name, value]) => `${spelled(name)}: ${value}`)
    return [start, ...lines, `Content-Length: ${this.body.length}`, '', this.body].join('\r\n')
  }

  /** What a strict reader of RFC 3261 §25 and §8.1.1 finds wrong with this message; empty when nothing. */
  problems(): string[] {
    const problems: string[] = []
    for (const name of ONCE) {
      const count = this.headers.filter(([key]) => key === name).length
      if (count > 1) problems.push(`${name} ${count} times`)
    }
    for (const name of ['via', 'from', 'to', 'call-id', 'cseq']) if (this.get(name) === '') problems.push(`no ${name}`)
    for (const via of this.all('via')) if (!VIA.test(via)) problems.push(`via '${via}'`)
    if (this.isRequest && !this.branch.startsWith('z9hG4bK')) problems.push(`branch '${this.branch}'`)
    const cseq = /^(\d{1,10}) +(\S+)$/.exec(this.get('cseq'))
    if (cseq === null || Number(cseq[1]) >= 2 ** 31) problems.push(`cseq '${this.get('cseq')}'`)
    else if (this.isRequest && cseq[2] !== this.method) problems.push(`cseq of ${cseq[2]} in ${this.method}`)
    if (this.isRequest && !/^\d{1,3}$/.test(this.get('max-forwards'))) problems.push('max-forwards')
    if (this.isRequest && !isUri(this.uri)) problems.push(`request-uri '${this.uri}'`)
    for (const name of ['from', 'to', 'contact', 'route', 'record-route', 'p-asserted-identity', 'path']) {
      for (const value of this.all(name)) {
        if (name === 'contact' && value === '*') continue
        const match = NAME_ADDR.exec(value)
        if (match === null || !isUri(match[1] ?? match[2] ?? '')) problems.push(`${name} '${value}'`)
      }
    }
    if (this.fromTag === '') problems.push('no tag in From')
    if (this.status > 100 && this.toTag === '') problems.push('no tag in To of a response')
    const length = this.get('content-length')
    if (!/^\d+$/.test(length) || Number(length) !== this.body.length)
      problems.push(`content-length '${length}' of ${this.body.length}`)
    if (this.body !== '' && this.get('content-type') === '') problems.push('a body without Content-Type')
    const invited =
      this.method === 'INVITE' || (this.sequenceMethod === 'INVITE' && this.status >= 200 && this.status < 300)
    if (invited && this.all('contact').length !== 1)
      problems.push(`${this.all('contact').length} Contacts in ${this.method || this.status}`)
    return problems
  }
}

/** A parameter of a Via or name-addr value, without quotes; '' when absent. */
export function parameter(value: string, name: string): string {
  const rest = value.includes('>') ? value.slice(value.indexOf('>')) : value
  const match = new RegExp(String.raw`;\s*${name}\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s>]*)`, 'i').exec(rest)
  return match?.[1]?.replace(/^"|"$/g, '') ?? ''
}

/** The URI in a name-addr or addr-spec. */
export function uriOf(value: string): string {
  const match = /<([^>]*)>/.exec(value)
  return match?.[1] ?? value.split(';')[0]?.trim() ?? ''
}

/** Host, port (0 when absent) and transport parameter of a SIP URI. */
export function hostOf(uri: string): { host: string; port: number; transport: string; user: string } {
  const match = /^sips?:(?:([^@]*)@)?(\[[^\]]*\]|[^:;?>]+)(?::(\d+))?/i.exec(uri)
  const transport = /;transport=([a-z]+)/i.exec(uri)?.[1]?.toLowerCase() ?? 'udp'
  return {
    user: match?.[1] ?? '',
    host: (match?.[2] ?? '').replace(/^\[|\]$/g, ''),
    port: Number(match?.[3] ?? 0),
    transport,
  }
}

function isUri(uri: string): boolean {
  if (/^sips?:/i.test(uri)) return SIP_URI.test(uri)
  return /^tel:/i.test(uri) ? TEL_URI.test(uri) : /^[A-Za-z][A-Za-z0-9+.-]*:\S+$/.test(uri)
}

function splitList(value: string): string[] {
  const parts: string[] = []
  let from = 0
  let quoted = false
  let angled = false
  for (let at = 0; at < value.length; at++) {
    const char = value[at]
    if (quoted) {
      if (char === '\\') at++
      else if (char === '"') quoted = false
    } else if (char === '"') quoted = true
    else if (char === '<') angled = true
    else if (char === '>') angled = false
    else if (char === ',' && !angled) {
      parts.push(value.slice(from, at).trim())
      from = at + 1
    }
  }
  parts.push(value.slice(from).trim())
  return parts
}

function spelled(name: string): string {
  if (name === 'call-id') return 'Call-ID'
  if (name === 'cseq') return 'CSeq'
  if (name === 'rack') return 'RAck'
  if (name === 'rseq') return 'RSeq'
  if (name === 'min-se') return 'Min-SE'
  return name.replace(/(^|-)[a-z]/g, (letters) => letters.toUpperCase())
}
