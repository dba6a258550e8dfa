// What a gateway is told at its start: interfaces, limits, times and folders. All of it is plain data.

/** A local address that media may use. Several with one name make a logical interface, one for each address family or host. */
export interface MediaInterface {
  /** What `direction` and `interface` of the ng protocol name it by. */
  readonly name: string
  /** The numeric address that sockets are bound to. */
  readonly address: string
  readonly family: 4 | 6
  /** What descriptions say instead of `address`, behind a one-to-one NAT; null for the address itself. */
  readonly advertise: string | null
  /** The range of ports, both included: RTP takes the even ones, RTCP the odd ones after them. */
  readonly portFirst: number
  readonly portLast: number
}

export interface GatewaySettings {
  /** The first one is the default. At least one. */
  readonly interfaces: readonly MediaInterface[]
  /** Calls at a time; an offer of one more is refused with `load limit`. */
  readonly callsMax: number
  /** How long a closed port is not given again, so that late packets of a call reach nobody. */
  readonly portQuarantineMs: number
  /** Silence of a whole call before it is reported: never a packet, none any more, none while on hold. 0: never. */
  readonly timeoutInitialMs: number
  readonly timeoutRunningMs: number
  readonly timeoutHeldMs: number
  /** How long after that report the call is removed, unless something comes again. */
  readonly silenceDeleteMs: number
  /** How long a call with offers, but without any answer, is kept. */
  readonly unansweredMaxMs: number
  /** How long the final facts of a removed call can still be queried. */
  readonly finalFactsMs: number
  /** How long `delete` waits when the command does not say. */
  readonly deleteDelayMs: number
  /** Differentiated services code point of media, 0…63 (RFC 2474). */
  readonly dscp: number
  /** The folder that `play media` names files in; null refuses files. */
  readonly promptsFolder: string | null
  /** The folder that recordings are written to; null refuses them. */
  readonly recordingsFolder: string | null
  /** SHA-256 of the certificate of DTLS-SRTP, upper-case hexadecimal with colons (RFC 8122 §5); null: no DTLS. */
  readonly fingerprint: string | null
  /** Encodings that can be converted, in upper case and in order of preference, the ones whose library is missing left out. */
  readonly encodings: readonly string[]
  /** Country of tones for service legs, two lower-case letters. */
  readonly country: string
}

const S = 1000

/** Times and limits as rtpengine has them by default, and the codecs that need no library. */
export const GATEWAY_DEFAULTS: Omit<GatewaySettings, 'interfaces'> = {
  callsMax: 10_000,
  portQuarantineMs: 10 * S,
  timeoutInitialMs: 60 * S,
  timeoutRunningMs: 60 * S,
  timeoutHeldMs: 3600 * S,
  silenceDeleteMs: 10 * S,
  unansweredMaxMs: 3600 * S,
  finalFactsMs: 30 * S,
  deleteDelayMs: 0,
  dscp: 46,
  promptsFolder: null,
  recordingsFolder: null,
  fingerprint: null,
  encodings: ['PCMU', 'PCMA'],
  country: 'us',
}
