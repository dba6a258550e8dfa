// A session description as data, without loss: what is not understood keeps its place and its octets (RFC 8866 §5).

/** o= (RFC 8866 §5.2). The numbers are texts, as they may have any number of digits. */
export interface SdpOrigin {
  readonly username: string
  readonly sessionId: string
  readonly sessionVersion: string
  readonly address: SdpAddress
}

/** Network type, address type and address of o= and c= (RFC 8866 §5.2, §5.7). */
export interface SdpAddress {
  /** "IN" but for what nobody uses. */
  readonly network: string
  /** "IP4", "IP6", or what else stands there. */
  readonly type: string
  /** A numeric address or a name, as written; of a c= line without time-to-live and count. */
  readonly host: string
}

/**
 * A media description (RFC 8866 §5.14): the m= line in its parts, then the lines after it. Never changed; `media-description.ts` and its
 * neighbours read it and make changed copies.
 */
export interface MediaDescription {
  /** audio, video, image, text, application, message. */
  readonly kind: string
  /** 0 to 65535; 0 rejects or removes the stream (RFC 3264 §6, §8.2). */
  readonly port: number
  /** The number of ports after a slash; null when none is written, which means one. */
  readonly portCount: number | null
  /** RTP/AVP, RTP/SAVP, RTP/AVPF, RTP/SAVPF, UDP/TLS/RTP/SAVPF, udptl … */
  readonly protocol: string
  /** Payload types as texts for RTP; t38 and the like otherwise. Never empty. */
  readonly formats: readonly string[]
  /** All lines after m=, in order, as written, without line ends: "a=rtpmap:0 PCMU/8000". */
  readonly lines: readonly string[]
}

/** A session description (RFC 8866 §5). Texts are latin1: one character an octet. */
export interface SessionDescription {
  readonly origin: SdpOrigin
  /** s= (§5.3). */
  readonly name: string
  /** All session-level lines after s=, in order, as written, without line ends: "c=IN IP4 192.0.2.1". */
  readonly lines: readonly string[]
  readonly media: readonly MediaDescription[]
}

/** Why a text is no session description. */
export interface SdpProblem {
  /** A stable code. */
  readonly problem: SdpProblemCode
  /** From 1; 0 when the whole text is meant. */
  readonly line: number
  /** A sentence for people, without what the peer wrote. */
  readonly message: string
}

export type SdpProblemCode =
  | 'SDP_OCTETS_MAX'
  | 'SDP_LINES_MAX'
  | 'SDP_LINE_OCTETS_MAX'
  | 'SDP_MEDIA_MAX'
  | 'SDP_FORMATS_MAX'
  | 'SDP_LINE'
  | 'SDP_VERSION'
  | 'SDP_ORIGIN'
  | 'SDP_CONNECTION'
  | 'SDP_MEDIA'

/** More octets than any browser writes, fewer than a datagram's most. */
export const SDP_OCTETS_MAX = 60_000
export const SDP_LINES_MAX = 1_500
export const SDP_LINE_OCTETS_MAX = 8_192
export const SDP_MEDIA_MAX = 32
/** Formats of a media description: there are 128 payload types (RFC 3550 §5.1). */
export const SDP_FORMATS_MAX = 128

/** Whether parsing failed. */
export function isSdpProblem(parsed: SessionDescription | SdpProblem): parsed is SdpProblem {
  return 'problem' in parsed
}

/**
 * Parses a session description. Lines may end in CRLF or LF (RFC 8866 §5), the last one in nothing, and empty lines may follow. A missing
 * s= counts as "-". Type letters that nobody knows are kept: a gateway passes on what it does not understand. Never throws; linear.
 */
export function parseSdp(text: string): SessionDescription | SdpProblem {
  if (text.length > SDP_OCTETS_MAX) {
    return problemAt('SDP_OCTETS_MAX', 0, `The description has more than ${SDP_OCTETS_MAX} octets.`)
  }
  const lines = linesOf(text)
  if (!Array.isArray(lines)) return lines
  const [version, originLine, nameLine] = lines
  if (version === undefined || !/^v=0[ \t]*$/.test(version)) {
    return problemAt('SDP_VERSION', 1, 'A description begins with v=0 (RFC 8866 §5.1).')
  }
  const origin = originLine === undefined ? null : originOf(originLine)
  if (origin === null) {
    return problemAt('SDP_ORIGIN', 2, 'The second line is o= with six fields (RFC 8866 §5.2).')
  }
  const hasName = nameLine?.startsWith('s=') === true
  const name = hasName ? nameLine.slice(2) : '-'
  const sections = sectionsOf(lines, hasName ? 3 : 2)
  return 'problem' in sections ? sections : { origin, name, ...sections }
}

/** How a description is written, with CRLF line ends: {@link parseSdp} reversed. */
export function writeSdp(description: SessionDescription): string {
  let text = `v=0\r\no=${originText(description.origin)}\r\ns=${description.name}\r\n`
  for (const line of description.lines) text += `${line}\r\n`
  for (const media of description.media) {
    text += `m=${mediaText(media)}\r\n`
    for (const line of media.lines) text += `${line}\r\n`
  }
  return text
}

/** The description with another media description at a place. */
export function withMedia(description: SessionDescription, at: number, media: MediaDescription): SessionDescription {
  return { ...description, media: description.media.with(at, media) }
}

/** The value of an o= line. */
export function originText(origin: SdpOrigin): string {
  const { network, type, host } = origin.address
  return `${origin.username} ${origin.sessionId} ${origin.sessionVersion} ${network} ${type} ${host}`
}

/** The value of an m= line. */
export function mediaText(media: MediaDescription): string {
  const count = media.portCount === null ? '' : `/${media.portCount}`
  return `${media.kind} ${media.port}${count} ${media.protocol} ${media.formats.join(' ')}`
}

/** The address of the value of a c= line, or null when malformed (RFC 8866 §5.7). */
export function parseAddress(value: string): SdpAddress | null {
  const fields = fieldsOf(value)
  const [network, type, address] = fields
  if (fields.length !== 3 || network === undefined || type === undefined || address === undefined) return null
  const slash = address.indexOf('/')
  const host = slash < 0 ? address : address.slice(0, slash)
  return host === '' ? null : { network, type, host }
}

/** The lines without their ends; trailing empty ones are left out. */
function linesOf(text: string): string[] | SdpProblem {
  const lines: string[] = []
  let from = 0
  let end = text.length
  while (end > 0 && (text.charCodeAt(end - 1) === 10 || text.charCodeAt(end - 1) === 13)) end -= 1
  while (from < end) {
    const feed = text.indexOf('\n', from)
    let to = feed < 0 || feed > end ? end : feed
    const next = to + 1
    if (to > from && to < end && text.charCodeAt(to - 1) === 13) to -= 1
    const number = lines.length + 1
    if (number > SDP_LINES_MAX) {
      return problemAt('SDP_LINES_MAX', number, `The description has more than ${SDP_LINES_MAX} lines.`)
    }
    if (to - from > SDP_LINE_OCTETS_MAX) {
      return problemAt('SDP_LINE_OCTETS_MAX', number, `The line has more than ${SDP_LINE_OCTETS_MAX} octets.`)
    }
    const line = text.slice(from, to)
    if (!/^[A-Za-z]=[^\0\r\u0100-\uffff]*$/.test(line)) {
      return problemAt('SDP_LINE', number, 'A line is a letter, an equals sign and a value of octets (RFC 8866 §5).')
    }
    lines.push(line)
    from = next
  }
  return lines
}

function sectionsOf(lines: readonly string[], start: number): Pick<SessionDescription, 'lines' | 'media'> | SdpProblem {
  const session: string[] = []
  const media: MediaDescription[] = []
  let current = session
  for (let at = start; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    if (line.startsWith('m=')) {
      if (media.length === SDP_MEDIA_MAX) {
        return problemAt('SDP_MEDIA_MAX', at + 1, `The description has more than ${SDP_MEDIA_MAX} media descriptions.`)
      }
      current = []
      const section = mediaOf(line, current, at + 1)
      if ('problem' in section) return section
      media.push(section)
      continue
    }
    if (line.startsWith('c=') && parseAddress(line.slice(2)) === null) {
      return problemAt(
        'SDP_CONNECTION',
        at + 1,
        'A c= line has a network type, an address type and an address (RFC 8866 §5.7).',
      )
    }
    current.push(line)
  }
  return { lines: session, media }
}

function mediaOf(line: string, lines: readonly string[], number: number): MediaDescription | SdpProblem {
  const [kind, ports, protocol, ...formats] = fieldsOf(line.slice(2))
  const match = ports === undefined ? null : /^(\d{1,5})(?:\/(\d{1,5}))?$/.exec(ports)
  const port = Number(match?.[1])
  if (kind === undefined || match === null || port > 65_535 || protocol === undefined || formats.length === 0) {
    return problemAt('SDP_MEDIA', number, 'An m= line has a kind, a port, a protocol and formats (RFC 8866 §5.14).')
  }
  if (formats.length > SDP_FORMATS_MAX) {
    return problemAt('SDP_FORMATS_MAX', number, `The media description has more than ${SDP_FORMATS_MAX} formats.`)
  }
  return { kind, port, portCount: match[2] === undefined ? null : Number(match[2]), protocol, formats, lines }
}

function originOf(line: string): SdpOrigin | null {
  const fields = line.startsWith('o=') ? fieldsOf(line.slice(2)) : []
  const [username, sessionId, sessionVersion, network, type, host] = fields
  if (fields.length !== 6 || username === undefined || network === undefined || type === undefined) return null
  if (sessionId === undefined || sessionVersion === undefined || host === undefined) return null
  if (!/^\d+$/.test(sessionId) || !/^\d+$/.test(sessionVersion)) return null
  return { username, sessionId, sessionVersion, address: { network, type, host } }
}

/** Fields with one blank between them; what wrote more of them is understood. */
function fieldsOf(value: string): string[] {
  return value.split(/[ \t]+/).filter((field) => field !== '')
}

function problemAt(problem: SdpProblemCode, line: number, message: string): SdpProblem {
  return { problem, line, message }
}
