// The flags of the ng protocol, by one name each: all documented spellings (space, hyphen, underscore, case) map to it.

/** Each flag by our name, and the spelling that rtpengine 10.5 reads (it tells upper from lower case). */
const WIRE = {
  'allow-transcoding': 'allow-transcoding',
  asymmetric: 'asymmetric',
  'block-dtmf': 'block-DTMF',
  'block-egress': 'block-egress',
  'block-short-packets': 'block-short-packets',
  debug: 'debug',
  'detect-dtmf': 'detect-DTMF',
  'discard-recording': 'discard-recording',
  'early-media': 'early-media',
  'exclude-recording': 'exclude-recording',
  fatal: 'fatal',
  fragment: 'fragment',
  'full-rtcp-attribute': 'full-rtcp-attribute',
  'generate-mid': 'generate-mid',
  inactive: 'inactive',
  'inject-dtmf': 'inject-DTMF',
  'loop-protect': 'loop-protect',
  'media-handover': 'media-handover',
  mirror: 'mirror',
  'nat-wait': 'NAT-wait',
  'new-branch': 'new-branch',
  'no-jitter-buffer': 'no-jitter-buffer',
  'no-port-latching': 'no-port-latching',
  'no-redis-update': 'no-redis-update',
  'no-rtcp-attribute': 'no-rtcp-attribute',
  'original-sendrecv': 'original-sendrecv',
  'pierce-nat': 'pierce-NAT',
  'port-latching': 'port-latching',
  provisional: 'provisional',
  recrypt: 'recrypt',
  'reject-ice': 'reject-ICE',
  reset: 'reset',
  'reuse-codecs': 'reuse-codecs',
  'rtcp-mirror': 'RTCP-mirror',
  'single-codec': 'single-codec',
  'sip-source-address': 'SIP-source-address',
  'skip-recording-db': 'skip-recording-db',
  'static-codecs': 'static-codecs',
  'strict-source': 'strict-source',
  'strip-extmap': 'strip-extmap',
  symmetric: 'symmetric',
  'to-tag': 'to-tag',
  'trickle-ice': 'trickle-ICE',
  'trust-address': 'trust-address',
  unidirectional: 'unidirectional',
  webrtc: 'WebRTC',
} as const

/** A flag by its one name. */
export type NgFlag = keyof typeof WIRE

/** Other words that rtpengine and its clients use for the same. */
const SYNONYMS: ReadonlyMap<string, NgFlag> = new Map([
  ['block-short', 'block-short-packets'],
  ['debugging', 'debug'],
  ['no-codec-renegotiation', 'reuse-codecs'],
  ['reuse-codec', 'reuse-codecs'],
  ['static-codec', 'static-codecs'],
  ['no-rtcp-attr', 'no-rtcp-attribute'],
  ['full-rtcp-attr', 'full-rtcp-attribute'],
])

/** Flags that rtpengine knows and that ask for nothing any more. */
const OBSOLETE: ReadonlySet<string> = new Set(['asymmetric-codecs', 'symmetric-codecs', 'reorder-codecs'])

const FLAGS: ReadonlyMap<string, NgFlag> = new Map([
  ...Object.keys(WIRE).map((name) => [name, name as NgFlag] as const),
  ...SYNONYMS,
])

/** Longer texts are no flag's name; what would be read as one is left as it is. */
const NAME_OCTETS_MAX = 64

/** A key or flag in its one spelling: lower case, hyphens for spaces and underscores. */
export function plainName(text: string): string {
  return text.length > NAME_OCTETS_MAX ? text : text.toLowerCase().replace(/[ _]/g, '-')
}

/** The flag that a plain name stands for, or null. */
export function flagOf(name: string): NgFlag | null {
  return FLAGS.get(name) ?? null
}

/** Whether the plain name is a flag that is accepted and means nothing. */
export function isObsoleteFlag(name: string): boolean {
  return OBSOLETE.has(name)
}

/** The spelling on the wire. */
export function flagText(flag: NgFlag): string {
  return WIRE[flag]
}
