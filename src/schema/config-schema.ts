// Every resource of the configuration file, declared once: types, checks, defaults and docs/configuration.md derive from here.

import { type Static, type TProperties, type TSchema, Type } from 'typebox'

/** Bounds of the file itself; reaching one is CONFIG_TOO_LARGE. */
export const SUBSCRIBERS_MAX = 1_000_000
export const TRUNK_GROUPS_MAX = 10_000
export const ROUTES_MAX = 1_000_000
export const PEERS_MAX = 64
export const ROUTE_TRUNK_GROUPS_MAX = 16
export const LISTEN_MAX = 32
export const ALIASES_MAX = 64
export const GATEWAYS_MAX = 256
export const CODECS_MAX = 16
export const SERVICES_MAX = 256

/**
 * A section or resource: unknown keys are errors. A key with a `default` may be left out of the file; it is always there
 * in a loaded configuration.
 */
function section<P extends TProperties>(properties: P, options: { description: string; default?: object }) {
  return Type.Object(properties, { additionalProperties: false, ...options })
}

/** A value or nothing; left out it is null. */
function optional<S extends TSchema>(schema: S, description: string) {
  return Type.Union([schema, Type.Null()], { default: null, description })
}

function count(description: string, byDefault: number, minimum: number, maximum: number) {
  return Type.Integer({ description, default: byDefault, minimum, maximum })
}

/** A hash of a password: as secret as the password itself, so no message repeats it (`writeOnly`). */
function digest(format: string, length: number) {
  return Type.String({ format, minLength: length, maxLength: length, writeOnly: true })
}

/** A text of a named format (`text-formats.ts`). Without a default it must be given. */
function text(description: string, format: string, lengthMax: number, byDefault?: string, writeOnly = false) {
  const options = { description, format, minLength: 1, maxLength: lengthMax, writeOnly }
  return Type.String(byDefault === undefined ? options : { ...options, default: byDefault })
}

const NUMBER_FORMS = 'digits with "+" and the country code (E.164), or a short number of digits, * and #; no separators'

export const TlsSection = section(
  {
    certificate: optional(
      text('', 'path', 4096),
      'File with the certificate chain, PEM. Left out, a self-signed one is made on first start: for trials only.',
    ),
    key: optional(text('', 'path', 4096), 'File with the private key of the certificate, PEM.'),
    authorities: optional(
      text('', 'path', 4096),
      'File with the certification authorities that peers are verified against, PEM. Left out: those of the system.',
    ),
    verifyClients: Type.Boolean({
      default: false,
      description:
        'Whether clients that connect to us must show a certificate that verifies (mutual TLS). Telephones rarely have one.',
    }),
    verifyServers: Type.Boolean({
      default: true,
      description:
        'Whether servers that we connect to must show a certificate that verifies and is for the name of the peer (RFC 5922).',
    }),
  },
  { description: 'TLS for the `tls:` listening points and for connections that we open.', default: {} },
)

export const SipSection = section(
  {
    listen: Type.Array(text('', 'listenAddress', 64), {
      description: 'Listening points, `transport:address:port`; transport is udp, tcp or tls, IPv6 in brackets.',
      default: ['udp:0.0.0.0:5060', 'tcp:0.0.0.0:5060'],
      minItems: 1,
      maxItems: LISTEN_MAX,
    }),
    advertise: optional(
      text('', 'host', 253),
      'Public address or host name that is written into Via, Contact and Record-Route in place of the listening address.',
    ),
    aliases: Type.Array(text('', 'host', 253), {
      description: 'Further host names and addresses that are ours when they stand in a Request-URI.',
      default: [],
      maxItems: ALIASES_MAX,
    }),
    tls: TlsSection,
    sessionExpiresS: count('Session timer that we ask for (RFC 4028), in seconds.', 1800, 90, 86_400),
    minSeS: count('Shortest session timer that we accept (RFC 4028 §5), in seconds.', 90, 90, 86_400),
    udpSizeMax: count(
      'Requests of more octets than this go over TCP when the next hop has it (RFC 3261 §18.1.1).',
      1300,
      512,
      65_507,
    ),
    userAgent: text('What the Server and User-Agent headers say.', 'headerText', 128, 'Carillon'),
  },
  { description: 'SIP: where it listens and how it speaks.', default: {} },
)

export const AccessSection = section(
  {
    expiresMinS: count(
      'Shortest registration that is accepted; shorter is answered with 423, in seconds.',
      60,
      1,
      86_400,
    ),
    expiresMaxS: count('Longest registration that is granted, in seconds.', 3600, 60, 604_800),
    expiresDefaultS: count(
      'Registration granted when the phone names no time, in seconds; brought within the two bounds above.',
      3600,
      60,
      604_800,
    ),
    contactsMax: count('Contacts that one address of record may have at a time.', 10, 1, 100),
    nonceLifetimeS: count('How long a digest nonce is accepted, in seconds (RFC 7616 §3.3).', 300, 10, 86_400),
    algorithms: Type.Array(Type.Enum(['SHA-256', 'MD5']), {
      description: 'Digest algorithms that are offered, the preferred one first (RFC 8760).',
      default: ['SHA-256', 'MD5'],
      minItems: 1,
      maxItems: 2,
    }),
    keepAliveS: count(
      'Time between keep-alives to a phone behind address translation, in seconds (RFC 5626 §4.4).',
      25,
      5,
      3600,
    ),
    noAnswerS: count("How long a subscriber's phones ring before the call is given up, in seconds.", 120, 5, 600),
    failuresMax: count(
      'Wrong passwords in a row, from one address or for one user, after which answers are held back.',
      5,
      1,
      1000,
    ),
    backOffMinS: count(
      'First time of being held back after too many wrong passwords, in seconds; it doubles.',
      1,
      1,
      3600,
    ),
    backOffMaxS: count('Longest time of being held back after too many wrong passwords, in seconds.', 300, 1, 86_400),
  },
  { description: 'Registration and authentication of subscribers.', default: {} },
)

export const CallSection = section(
  {
    durationMaxS: count('Longest call; it is released then, in seconds.', 43_200, 60, 604_800),
    noAnswerS: count('How long a trunk group may ring before the call is given up, in seconds.', 180, 5, 600),
    redirects: Type.Enum(['follow', 'pass', 'refuse'], {
      description:
        'What is done with a 3xx answer: `follow` tries the contacts that are our own subscribers or numbers, `pass` hands ' +
        'it to the caller, `refuse` takes it for a failure.',
      default: 'follow',
    }),
    redirectsMax: count('Redirections that one call may follow.', 3, 0, 20),
    ringForksMax: count('Contacts of one subscriber that ring at the same time.', 10, 1, 100),
    targetsMax: count('Trunk-group peers that one call tries, one after the other.', 8, 1, 64),
  },
  { description: 'Calls.', default: {} },
)

export const CdrSection = section(
  {
    intermediateS: count(
      'Time between INTERMEDIATE records of a long call, in seconds; 0 writes none.',
      900,
      0,
      86_400,
    ),
    fileRecordsMax: count('Records in one file of `DATA/cdr`; then the next file is begun.', 100_000, 100, 10_000_000),
  },
  { description: 'Call detail records.', default: {} },
)

export const LimitsSection = section(
  {
    callsMax: count('Calls at a time; more are answered with 503.', 20_000, 1, 1_000_000),
    callsPerSecondMax: count('New calls in a second; more are answered with 503.', 10_000, 1, 1_000_000),
    transactionsMax: count(
      'SIP transactions at a time; requests beyond are answered with 503.',
      200_000,
      100,
      10_000_000,
    ),
    bindingsMax: count(
      'Registered contacts at a time; a registration beyond is answered with 503.',
      1_000_000,
      1,
      10_000_000,
    ),
    connectionsMax: count('TCP and TLS connections at a time; more are refused.', 20_000, 1, 1_000_000),
    connectionsPerAddressMax: count(
      'TCP and TLS connections at a time from one address; more are refused.',
      1000,
      1,
      1_000_000,
    ),
  },
  {
    description: 'Limits of one switch process. Reaching one has the answer named here and raises an alarm.',
    default: {},
  },
)

function codecList(description: string, byDefault: readonly string[]) {
  return Type.Array(text('', 'codec', 32), { description, default: [...byDefault], maxItems: CODECS_MAX })
}

export const CodecsSection = section(
  {
    allow: codecList(
      'Codecs that may be offered, in order of preference, by their encoding names; telephone-event and CN always may. Empty: ' +
        'all, in the order of the offer.',
      [],
    ),
    transcode: codecList(
      'Codecs that are offered after those of the other side, so that the gateway converts when the two sides have none in ' +
        'common. Empty: never.',
      ['opus', 'G722', 'PCMA', 'PCMU'],
    ),
  },
  { description: 'Codec policy.', default: {} },
)

export const MediaSection = section(
  {
    listen: text('Numeric address that the embedded media gateway uses.', 'address', 64, '0.0.0.0'),
    advertise: optional(text('', 'host', 253), 'Public address that is written into session descriptions.'),
    ports: text('Range of UDP ports that the embedded media gateway uses.', 'portRange', 11, '20000-29999'),
    gateways: Type.Union(
      [Type.Array(text('', 'gatewayAddress', 80), { maxItems: GATEWAYS_MAX }), Type.Literal('none')],
      {
        description:
          'Addresses of media gateways that speak the ng protocol, e.g. "udp:192.0.2.20:2223" or, for twice its share of calls, ' +
          '"udp:192.0.2.20:2223;weight=2"; empty is the embedded gateway, "none" leaves media end to end.',
        default: [],
      },
    ),
    withoutGateway: Type.Enum(['refuse', 'endToEnd'], {
      description:
        'What becomes of a call while no gateway takes any: `refuse` answers 503, `endToEnd` lets the two sides exchange media ' +
        'themselves.',
      default: 'refuse',
    }),
    codecs: CodecsSection,
  },
  { description: 'Media.', default: {} },
)

export const ManagerSection = section(
  {
    listen: text('Address and port of health, metrics, API and console over HTTP.', 'hostPort', 64, '127.0.0.1:8080'),
    database: text(
      'Database of the manager: `embedded`, or a `postgres://` URL (which needs a later version).',
      'database',
      1024,
      'embedded',
      true,
    ),
  },
  { description: 'Management.', default: {} },
)

export const ClusterSection = section(
  {
    store: text(
      'Where registrations and call state live: `embedded`, or a `redis://` URL (which needs a later version).',
      'store',
      1024,
      'embedded',
      true,
    ),
  },
  { description: 'What several machines share.', default: {} },
)

export const SubscriberEntry = section(
  {
    user: text('User name: the user part of the SIP address, and the name for authentication.', 'user', 64),
    password: optional(
      Type.String({ minLength: 1, maxLength: 128, writeOnly: true }),
      'Password. Only its digest is kept in memory. Either this or `ha1` or `ha1Sha256`.',
    ),
    ha1: optional(
      digest('md5Hex', 32),
      'MD5 of `user:domain:password` in 32 hexadecimal digits, in place of the password (RFC 7616 §3.4.2).',
    ),
    ha1Sha256: optional(
      digest('sha256Hex', 64),
      'SHA-256 of `user:domain:password` in 64 hexadecimal digits, in place of the password.',
    ),
    number: optional(text('', 'number', 32), `Telephone number: ${NUMBER_FORMS}.`),
    name: optional(text('', 'displayName', 64), 'Name that is shown to the called party.'),
  },
  { description: 'A subscriber: a user who registers telephones.' },
)

export const TrunkGroupEntry = section(
  {
    name: text('Name: letters, digits, dot, hyphen and underscore.', 'name', 32),
    peers: Type.Array(text('', 'peerAddress', 270), {
      description:
        'The other side, `[transport:]host[:port]`, tried in order. Requests from these addresses are calls of this group.',
      minItems: 1,
      maxItems: PEERS_MAX,
    }),
    channelsMax: count('Calls at a time, both directions together.', 10_000, 1, 1_000_000),
    cpsMax: count('New calls in a second, both directions together.', 1000, 1, 100_000),
    direction: Type.Enum(['in', 'out', 'both'], {
      description: 'Calls that the group carries, seen from here.',
      default: 'both',
    }),
    codecs: optional(CodecsSection, 'Codec policy of offers to this group; left out: that of `media.codecs`.'),
  },
  { description: 'A trunk group: peers of another carrier or system, with shared limits.' },
)

export const ServiceEntry = section(
  {
    number: text(`Number to dial: ${NUMBER_FORMS}.`, 'number', 32),
    service: Type.Enum(['echo', 'milliwatt', 'time', 'conference'], {
      description:
        '`echo` gives back what it hears, `milliwatt` is a tone of 1004 Hz at 0 dBm0, `time` says the time, `conference` is a room ' +
        'where all callers hear each other.',
    }),
    room: optional(text('', 'name', 32), 'Name of the conference room; left out: one room for each number.'),
    trunkGroups: Type.Boolean({
      description: 'Whether calls that come over trunk groups reach it too; subscribers always do.',
      default: false,
    }),
  },
  { description: 'A number that the system answers itself, with its media gateway.' },
)

/** What a new system answers itself (DESIGN §5). */
const SERVICES_DEFAULT = [
  { number: '600', service: 'echo', room: null, trunkGroups: false },
  { number: '601', service: 'milliwatt', room: null, trunkGroups: false },
  { number: '602', service: 'time', room: null, trunkGroups: false },
  { number: '603', service: 'conference', room: null, trunkGroups: false },
]

export const RouteEntry = section(
  {
    prefix: Type.String({
      description:
        'Begin of the called number. With "+" it is matched against the E.164 form, without it against the digits as ' +
        'received; the longest prefix wins. "" matches every number.',
      format: 'prefix',
      maxLength: 32,
    }),
    trunkGroups: Type.Array(text('', 'name', 32), {
      description: 'Names of the trunk groups, tried in order.',
      minItems: 1,
      maxItems: ROUTE_TRUNK_GROUPS_MAX,
    }),
  },
  { description: 'A route: which trunk groups serve a prefix.' },
)

export const ConfigFile = section(
  {
    domain: text('Domain of the subscribers and realm of authentication; calls to it are ours.', 'host', 253),
    sip: SipSection,
    access: AccessSection,
    call: CallSection,
    cdr: CdrSection,
    limits: LimitsSection,
    media: MediaSection,
    manager: ManagerSection,
    cluster: ClusterSection,
    subscribers: Type.Array(SubscriberEntry, {
      description: 'Subscribers.',
      default: [],
      maxItems: SUBSCRIBERS_MAX,
    }),
    trunkGroups: Type.Array(TrunkGroupEntry, {
      description: 'Trunk groups.',
      default: [],
      maxItems: TRUNK_GROUPS_MAX,
    }),
    services: Type.Array(ServiceEntry, {
      description:
        'Numbers that the system answers itself. A subscriber of the same name or number stands above them, and they above routes. ' +
        'They need a media gateway: with `media.gateways: none` there are none.',
      default: SERVICES_DEFAULT,
      maxItems: SERVICES_MAX,
    }),
    routes: Type.Array(RouteEntry, { description: 'Routes.', default: [], maxItems: ROUTES_MAX }),
  },
  { description: 'The configuration file.' },
)

/** The file as written, with defaults filled in. Holds clear passwords: it lives only while the file is loaded. */
export type ConfigFile = Static<typeof ConfigFile>
