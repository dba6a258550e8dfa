// Header field names as small integers (RFC 3261 §7.3.1, §20, §7.3.3 compact forms; the extensions' own sections).
// Hot path: one look-up for each header line of each message.

/** Ids of the header fields that the platform looks at. 0 is every other field. */
export const HeaderId = {
  other: 0,
  via: 1,
  from: 2,
  to: 3,
  callId: 4,
  cseq: 5,
  contact: 6,
  maxForwards: 7,
  contentLength: 8,
  contentType: 9,
  route: 10,
  recordRoute: 11,
  expires: 12,
  authorization: 13,
  proxyAuthorization: 14,
  wwwAuthenticate: 15,
  proxyAuthenticate: 16,
  authenticationInfo: 17,
  require: 18,
  proxyRequire: 19,
  supported: 20,
  unsupported: 21,
  allow: 22,
  accept: 23,
  acceptEncoding: 24,
  acceptLanguage: 25,
  alertInfo: 26,
  callInfo: 27,
  contentDisposition: 28,
  contentEncoding: 29,
  contentLanguage: 30,
  date: 31,
  errorInfo: 32,
  inReplyTo: 33,
  minExpires: 34,
  mimeVersion: 35,
  organization: 36,
  priority: 37,
  replyTo: 38,
  retryAfter: 39,
  server: 40,
  subject: 41,
  timestamp: 42,
  userAgent: 43,
  warning: 44,
  rseq: 45,
  rack: 46,
  sessionExpires: 47,
  minSe: 48,
  reason: 49,
  path: 50,
  serviceRoute: 51,
  privacy: 52,
  pAssertedIdentity: 53,
  pPreferredIdentity: 54,
  referTo: 55,
  referredBy: 56,
  replaces: 57,
  event: 58,
  allowEvents: 59,
  subscriptionState: 60,
  diversion: 61,
  historyInfo: 62,
  remotePartyId: 63,
  flowTimer: 64,
  infoPackage: 65,
  recvInfo: 66,
  identity: 67,
  userToUser: 68,
  pEarlyMedia: 69,
  sessionId: 70,
  maxBreadth: 71,
  pChargeInfo: 72,
  resourcePriority: 73,
  geolocation: 74,
  join: 75,
  requestDisposition: 76,
  acceptContact: 77,
  rejectContact: 78,
  targetDialog: 79,
} as const
export type HeaderId = (typeof HeaderId)[keyof typeof HeaderId]

const NAMES: readonly (readonly [HeaderId, string, string?])[] = [
  [HeaderId.via, 'Via', 'v'],
  [HeaderId.from, 'From', 'f'],
  [HeaderId.to, 'To', 't'],
  [HeaderId.callId, 'Call-ID', 'i'],
  [HeaderId.cseq, 'CSeq'],
  [HeaderId.contact, 'Contact', 'm'],
  [HeaderId.maxForwards, 'Max-Forwards'],
  [HeaderId.contentLength, 'Content-Length', 'l'],
  [HeaderId.contentType, 'Content-Type', 'c'],
  [HeaderId.route, 'Route'],
  [HeaderId.recordRoute, 'Record-Route'],
  [HeaderId.expires, 'Expires'],
  [HeaderId.authorization, 'Authorization'],
  [HeaderId.proxyAuthorization, 'Proxy-Authorization'],
  [HeaderId.wwwAuthenticate, 'WWW-Authenticate'],
  [HeaderId.proxyAuthenticate, 'Proxy-Authenticate'],
  [HeaderId.authenticationInfo, 'Authentication-Info'],
  [HeaderId.require, 'Require'],
  [HeaderId.proxyRequire, 'Proxy-Require'],
  [HeaderId.supported, 'Supported', 'k'],
  [HeaderId.unsupported, 'Unsupported'],
  [HeaderId.allow, 'Allow'],
  [HeaderId.accept, 'Accept'],
  [HeaderId.acceptEncoding, 'Accept-Encoding'],
  [HeaderId.acceptLanguage, 'Accept-Language'],
  [HeaderId.alertInfo, 'Alert-Info'],
  [HeaderId.callInfo, 'Call-Info'],
  [HeaderId.contentDisposition, 'Content-Disposition'],
  [HeaderId.contentEncoding, 'Content-Encoding', 'e'],
  [HeaderId.contentLanguage, 'Content-Language'],
  [HeaderId.date, 'Date'],
  [HeaderId.errorInfo, 'Error-Info'],
  [HeaderId.inReplyTo, 'In-Reply-To'],
  [HeaderId.minExpires, 'Min-Expires'],
  [HeaderId.mimeVersion, 'MIME-Version'],
  [HeaderId.organization, 'Organization'],
  [HeaderId.priority, 'Priority'],
  [HeaderId.replyTo, 'Reply-To'],
  [HeaderId.retryAfter, 'Retry-After'],
  [HeaderId.server, 'Server'],
  [HeaderId.subject, 'Subject', 's'],
  [HeaderId.timestamp, 'Timestamp'],
  [HeaderId.userAgent, 'User-Agent'],
  [HeaderId.warning, 'Warning'],
  [HeaderId.rseq, 'RSeq'],
  [HeaderId.rack, 'RAck'],
  [HeaderId.sessionExpires, 'Session-Expires', 'x'],
  [HeaderId.minSe, 'Min-SE'],
  [HeaderId.reason, 'Reason'],
  [HeaderId.path, 'Path'],
  [HeaderId.serviceRoute, 'Service-Route'],
  [HeaderId.privacy, 'Privacy'],
  [HeaderId.pAssertedIdentity, 'P-Asserted-Identity'],
  [HeaderId.pPreferredIdentity, 'P-Preferred-Identity'],
  [HeaderId.referTo, 'Refer-To', 'r'],
  [HeaderId.referredBy, 'Referred-By', 'b'],
  [HeaderId.replaces, 'Replaces'],
  [HeaderId.event, 'Event', 'o'],
  [HeaderId.allowEvents, 'Allow-Events', 'u'],
  [HeaderId.subscriptionState, 'Subscription-State'],
  [HeaderId.diversion, 'Diversion'],
  [HeaderId.historyInfo, 'History-Info'],
  [HeaderId.remotePartyId, 'Remote-Party-ID'],
  [HeaderId.flowTimer, 'Flow-Timer'],
  [HeaderId.infoPackage, 'Info-Package'],
  [HeaderId.recvInfo, 'Recv-Info'],
  [HeaderId.identity, 'Identity', 'y'],
  [HeaderId.userToUser, 'User-to-User'],
  [HeaderId.pEarlyMedia, 'P-Early-Media'],
  [HeaderId.sessionId, 'Session-ID'],
  [HeaderId.maxBreadth, 'Max-Breadth'],
  [HeaderId.pChargeInfo, 'P-Charge-Info'],
  [HeaderId.resourcePriority, 'Resource-Priority'],
  [HeaderId.geolocation, 'Geolocation'],
  [HeaderId.join, 'Join'],
  [HeaderId.requestDisposition, 'Request-Disposition', 'd'],
  [HeaderId.acceptContact, 'Accept-Contact', 'a'],
  [HeaderId.rejectContact, 'Reject-Contact', 'j'],
  [HeaderId.targetDialog, 'Target-Dialog'],
]

interface Candidate {
  readonly id: HeaderId
  readonly lower: string
}

const BUCKETS = 1024

/** Letters of either case fall together; the few names that share a bucket stand in order of the list above. */
function bucketOf(length: number, first: number, last: number): number {
  return (length * 37 + (first & 31) * 5 + (last & 31) * 113) & (BUCKETS - 1)
}

const TABLE: readonly (readonly Candidate[] | null)[] = (() => {
  const table: (Candidate[] | null)[] = new Array<Candidate[] | null>(BUCKETS).fill(null)
  for (const [id, ...names] of NAMES) {
    for (const name of names) {
      if (name === undefined) continue
      const bucket = bucketOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 1))
      table[bucket] = [...(table[bucket] ?? []), { id, lower: name.toLowerCase() }]
    }
  }
  return table
})()

const CANONICAL: readonly string[] = (() => {
  const names: string[] = ['']
  for (const [id, name] of NAMES) names[id] = name
  return names
})()

/** The id of the field name at [start, end) of `text`, without regard to case (§7.3.1); `HeaderId.other` when unknown. */
export function headerIdAt(text: string, start: number, end: number): HeaderId {
  const length = end - start
  if (length === 0) return HeaderId.other
  const bucket = TABLE[bucketOf(length, text.charCodeAt(start), text.charCodeAt(end - 1))]
  if (bucket === null || bucket === undefined) return HeaderId.other
  for (let i = 0; i < bucket.length; i += 1) {
    const candidate = bucket[i]
    if (candidate !== undefined && candidate.lower.length === length && hasAt(text, start, candidate.lower)) {
      return candidate.id
    }
  }
  return HeaderId.other
}

function hasAt(text: string, start: number, lower: string): boolean {
  // Names are letters and hyphens: with bit 5 set, only the letter itself in either case equals them, and CR the
  // hyphen, which cannot stand within a line.
  for (let i = 0; i < lower.length; i += 1) if ((text.charCodeAt(start + i) | 32) !== lower.charCodeAt(i)) return false
  return true
}

/** The usual spelling of a known field's name. */
export function headerName(id: HeaderId): string {
  return CANONICAL[id] ?? ''
}
