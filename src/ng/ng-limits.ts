// The limits of the ng protocol in one place: what a message may be before it is refused.

/** Octets of one message on a stream or WebSocket; a UDP datagram is shorter anyway (65,507). */
export const MESSAGE_OCTETS_MAX = 262_144
/** What one UDP datagram can carry over IPv4 (RFC 768, RFC 791). */
export const DATAGRAM_OCTETS_MAX = 65_507
/** Kamailio's cookies have about twenty octets. */
export const COOKIE_OCTETS_MAX = 255
/** Lists and dictionaries within each other; an answer to `query` has seven. */
export const DEPTH_MAX = 24
/** Values of one message, counting lists and dictionaries. */
export const ENTRIES_MAX = 32_768
