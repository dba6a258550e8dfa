// The DTLS-SRTP port on OpenSSL, over datagrams that somebody else carries: RFC 5763, RFC 5764, RFC 6347.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { assert, present } from '#core/assert.ts'
import { type Clock, Timer } from '#core/clock.ts'
import type { Dtls, DtlsOptions, DtlsSession, DtlsSink } from '#core/dtls.ts'
import { SRTP_SUITES, type SrtpKeys, type SrtpSuite } from '#core/srtp-keys.ts'
import { OPENSSL, type OpenSsl, openSsl, type Pointer } from '#host/openssl.ts'
import type { CertificatePair } from '#host/self-signed.ts'

/** Associations of one thread at a time; each takes some tens of kilobytes. */
const SESSIONS_MAX = 4_096

/** From the first flight on. The far side may be behind a NAT that ICE has yet to open. */
const HANDSHAKE_TIMEOUT_MS = 30_000

/** New attempts after a failed one: a forged datagram may spoil one, as nothing is authentic before its end. */
const ATTEMPTS_MORE_MAX = 3

/** Before an active side begins again. */
const RETRY_MS = 500

/** What fits every path without fragments (RFC 8200 §5, less IPv6, UDP and a tunnel's). */
const DATAGRAM_OCTETS_MAX = 1_200

/** A longer datagram is not looked at: no flight has records of this length. */
const RECEIVED_OCTETS_MAX = 4_096

/** Of one flight of ours. */
const FLIGHT_OCTETS_MAX = 16_384

/** Records of application data that are read and thrown away for one datagram. */
const READS_MAX = 32

/** RFC 6347 §4.1: header of a record, and where its length stands. */
const RECORD_HEADER_OCTETS = 13
const RECORD_LENGTH_AT = 11

/** Content type (RFC 5246 §6.2.1). */
const ALERT = 21

/** The tag: no suite above adds less (RFC 7905 §2). */
const ENCRYPTED_OCTETS_MIN = 16

/** Forward secret suites only; first of all the one of RFC 8827 §6.5. */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES'

/** In our order of preference (RFC 5764 §4.1.2, RFC 7714 §14.2). */
const PROFILES = 'SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32'

const SUITE_OF_PROFILE: ReadonlyMap<number, SrtpSuite> = new Map(
  Object.entries(SRTP_SUITES).map(([suite, { profile }]) => [profile, suite as SrtpSuite]),
)

/** RFC 5764 §4.2. */
const EXPORTER_LABEL = 'EXTRACTOR-dtls_srtp'

/** What the library is asked to verify: set around each call of it. */
interface Verification {
  isExpected(certificateDigest: Uint8Array): boolean
}

/** Sessions that share one certificate. One object for a thread. */
export class OpenSslDtls implements Dtls {
  readonly fingerprint: string
  readonly clock: Clock
  readonly library: OpenSsl
  /** Whose handshake is under way in the library; it calls back during the call only. */
  verification: Verification | null = null
  readonly #context: Pointer
  #open = 0

  /** Use {@link openSslDtls}. */
  constructor(library: OpenSsl, certificate: CertificatePair, clock: Clock) {
    this.library = library
    this.clock = clock
    const x509 = new X509Certificate(certificate.certificate)
    this.fingerprint = x509.fingerprint256
    this.#context = present(library.SSL_CTX_new(library.DTLS_method()), 'SSL_CTX_new')
    const context = this.#context
    const key = createPrivateKey(certificate.key)
    const keyType = key.asymmetricKeyType === 'rsa' ? OPENSSL.EVP_PKEY_RSA : OPENSSL.EVP_PKEY_EC
    const der = key.export({ type: 'pkcs8', format: 'der' })
    assert(library.SSL_CTX_use_certificate_ASN1(context, x509.raw.length, x509.raw) === 1, 'DTLS certificate')
    assert(library.SSL_CTX_use_PrivateKey_ASN1(keyType, context, der, der.length) === 1, 'DTLS private key')
    const version = OPENSSL.DTLS1_2_VERSION
    assert(
      library.SSL_CTX_ctrl(context, OPENSSL.SSL_CTRL_SET_MIN_PROTO_VERSION, version, null) === 1,
      'SSL_CTX_set_min_proto_version',
    )
    library.SSL_CTX_ctrl(context, OPENSSL.SSL_CTRL_SET_SESS_CACHE_MODE, 0, null)
    library.SSL_CTX_set_options(
      context,
      OPENSSL.SSL_OP_NO_QUERY_MTU | OPENSSL.SSL_OP_NO_TICKET | OPENSSL.SSL_OP_NO_RENEGOTIATION,
    )
    assert(library.SSL_CTX_set_cipher_list(context, CIPHERS) === 1, 'SSL_CTX_set_cipher_list')
    assert(library.SSL_CTX_set_tlsext_use_srtp(context, PROFILES) === 0, 'SSL_CTX_set_tlsext_use_srtp')
    // RFC 5763 §5: certificates are self-signed as a rule, and it is the fingerprint that says who it is.
    library.SSL_CTX_set_verify(context, OPENSSL.SSL_VERIFY_PEER | OPENSSL.SSL_VERIFY_FAIL_IF_NO_PEER_CERT, null)
    library.SSL_CTX_set_cert_verify_callback(context, library.verifier(this.#verify), null)
  }

  open(options: DtlsOptions): DtlsSession | null {
    if (this.#open >= SESSIONS_MAX) return null
    this.#open += 1
    return new OpenSslDtlsSession(this, this.#context, options)
  }

  /** For its sessions: one is over. */
  onClosed(): void {
    this.#open -= 1
  }

  readonly #verify = (store: Pointer): number => {
    const library = this.library
    const certificate = library.X509_STORE_CTX_get0_cert(store)
    const digest = new Uint8Array(64)
    const octets = new Uint8Array(4)
    const expected =
      certificate !== null &&
      library.X509_digest(certificate, library.EVP_sha256(), digest, octets) === 1 &&
      this.verification?.isExpected(digest.subarray(0, 32)) === true
    // The far side gets a bad_certificate alert.
    if (!expected) library.X509_STORE_CTX_set_error(store, OPENSSL.X509_V_ERR_CERT_REJECTED)
    return expected ? 1 : 0
  }
}

/**
 * The port with this certificate, or null where OpenSSL's DTLS cannot be reached: then there is no DTLS-SRTP. Throws
 * {@link AssertionError} when certificate and key are of no use.
 */
export function openSslDtls(certificate: CertificatePair, clock: Clock): Dtls | null {
  const library = openSsl()
  return library === null ? null : new OpenSslDtls(library, certificate, clock)
}

type State = 'handshaking' | 'secured' | 'ended'

const NEXT: Readonly<Record<State, readonly State[]>> = {
  handshaking: ['secured', 'ended'],
  secured: ['ended'],
  ended: [],
}

/** One association. The library's objects live until it has ended. */
class OpenSslDtlsSession implements DtlsSession, Verification {
  readonly #dtls: OpenSslDtls
  readonly #library: OpenSsl
  readonly #context: Pointer
  readonly #active: boolean
  readonly #fingerprint: Uint8Array
  readonly #sink: DtlsSink
  readonly #retransmit = new Timer(this)
  readonly #limit = new Timer(this)
  #state: State = 'handshaking'
  #ssl: Pointer | null = null
  #input: Pointer | null = null
  #output: Pointer | null = null
  #attempts = 0
  #verified = false
  /** A certificate with another fingerprint has come. */
  #refused = false
  /** Somebody, the far side perhaps, has said that it gives up. */
  #alerted = false

  constructor(dtls: OpenSslDtls, context: Pointer, options: DtlsOptions) {
    this.#dtls = dtls
    this.#library = dtls.library
    this.#context = context
    this.#active = options.role === 'active'
    this.#fingerprint = new Uint8Array(Buffer.from(options.fingerprint.replaceAll(':', ''), 'hex'))
    this.#sink = options.sink
    this.#begin()
    // The first flight goes out from a timer: nothing comes before `open` has returned.
    if (this.#active) {
      dtls.clock.arm(this.#limit, 'limit', HANDSHAKE_TIMEOUT_MS)
      dtls.clock.arm(this.#retransmit, 'retransmit', 0)
    }
  }

  onDatagram(bytes: Uint8Array): void {
    if (this.#state === 'ended') return
    const content = contentOf(bytes)
    // RFC 6347 §4.1.2.7: an alert that is not authentic ends nothing. If it is true, nothing else will come.
    if (content === 'alert') this.#alerted = true
    if (content !== 'records') return
    if (this.#state === 'handshaking' && !this.#limit.armed) {
      this.#dtls.clock.arm(this.#limit, 'limit', HANDSHAKE_TIMEOUT_MS)
    }
    this.#library.BIO_write(present(this.#input, 'BIO'), bytes, bytes.length)
    if (this.#state === 'handshaking') this.#handshake()
    else this.#read()
  }

  close(): void {
    if (this.#state === 'ended') return
    if (this.#state === 'secured') {
      this.#library.ERR_clear_error()
      this.#library.SSL_shutdown(present(this.#ssl, 'SSL'))
      const sent = this.#takeOutput()
      this.#enter('ended')
      for (const datagram of sent) this.#sink.onDtlsSend(datagram)
    } else {
      this.#enter('ended')
    }
  }

  onTimer(name: string): void {
    if (this.#state !== 'handshaking') return
    if (name === 'limit') {
      this.#expire()
      return
    }
    this.#library.ERR_clear_error()
    // Nothing but the first flight when none has been sent. The library looks at its own clock, and may say that it is too early.
    this.#library.SSL_ctrl(present(this.#ssl, 'SSL'), OPENSSL.DTLS_CTRL_HANDLE_TIMEOUT, 0, null)
    this.#handshake()
  }

  /** Compares all octets whatever they are. */
  isExpected(certificateDigest: Uint8Array): boolean {
    let difference = this.#fingerprint.length ^ certificateDigest.length
    for (let i = 0; i < certificateDigest.length; i += 1) {
      difference |= (this.#fingerprint[i] ?? 0) ^ (certificateDigest[i] as number)
    }
    this.#verified = difference === 0
    this.#refused = difference !== 0
    return this.#verified
  }

  #begin(): void {
    const library = this.#library
    this.#ssl = present(library.SSL_new(this.#context), 'SSL_new')
    this.#input = present(library.BIO_new(library.BIO_s_mem()), 'BIO_new')
    this.#output = present(library.BIO_new(library.BIO_s_mem()), 'BIO_new')
    // From here on they are freed with the SSL.
    library.SSL_set_bio(this.#ssl, this.#input, this.#output)
    library.SSL_ctrl(this.#ssl, OPENSSL.SSL_CTRL_SET_MTU, DATAGRAM_OCTETS_MAX, null)
    if (this.#active) library.SSL_set_connect_state(this.#ssl)
    else library.SSL_set_accept_state(this.#ssl)
    this.#verified = false
  }

  #free(): void {
    if (this.#ssl !== null) this.#library.SSL_free(this.#ssl)
    this.#ssl = null
    this.#input = null
    this.#output = null
  }

  /** Goes as far as what has come allows, then sends and tells. */
  #handshake(): void {
    const library = this.#library
    const ssl = present(this.#ssl, 'SSL')
    library.ERR_clear_error()
    this.#dtls.verification = this
    const result = library.SSL_do_handshake(ssl)
    this.#dtls.verification = null
    const error = result === 1 ? 0 : library.SSL_get_error(ssl, result)
    const keys = result === 1 && this.#verified ? this.#exportKeys(ssl) : null
    const sent = this.#takeOutput()
    if (keys !== null) this.#enter('secured')
    else if (error === OPENSSL.SSL_ERROR_WANT_READ) this.#armRetransmit(ssl)
    for (const datagram of sent) this.#sink.onDtlsSend(datagram)
    // The sink may have closed it meanwhile.
    if (keys !== null && this.#isOpen()) this.#sink.onDtlsKeys(keys.inbound, keys.outbound)
    if (keys !== null || error === OPENSSL.SSL_ERROR_WANT_READ || !this.#isOpen()) return
    if (result === 1 ? !this.#verified : this.#refused) this.#abandon('DTLS_FINGERPRINT')
    else this.#abandon(result === 1 ? 'DTLS_PROFILE' : 'DTLS_HANDSHAKE')
  }

  /** After the handshake: repeats our last flight when the far side repeats its own; sees it close; drops its data. */
  #read(): void {
    const library = this.#library
    const ssl = present(this.#ssl, 'SSL')
    const dropped = new Uint8Array(DATAGRAM_OCTETS_MAX)
    library.ERR_clear_error()
    let result = library.SSL_read(ssl, dropped, dropped.length)
    for (let reads = 1; result > 0 && reads < READS_MAX; reads += 1) {
      result = library.SSL_read(ssl, dropped, dropped.length)
    }
    const error = result > 0 ? OPENSSL.SSL_ERROR_WANT_READ : library.SSL_get_error(ssl, result)
    library.BIO_ctrl(present(this.#input, 'BIO'), OPENSSL.BIO_CTRL_RESET, 0, null)
    const sent = this.#takeOutput()
    if (error !== OPENSSL.SSL_ERROR_WANT_READ) this.#enter('ended')
    for (const datagram of sent) this.#sink.onDtlsSend(datagram)
    // Only close_notify is the far side's word. Whatever else the library stumbles on may be forged, and the keys are out already.
    if (error === OPENSSL.SSL_ERROR_ZERO_RETURN) this.#sink.onDtlsClosed()
  }

  /** RFC 5764 §4.2: keys of client and server, then their salts. Null when no profile was agreed. */
  #exportKeys(ssl: Pointer): { readonly inbound: SrtpKeys; readonly outbound: SrtpKeys } | null {
    const profile = this.#library.SSL_get_selected_srtp_profile(ssl)
    const suite = profile === null ? undefined : SUITE_OF_PROFILE.get(this.#library.profileId(profile))
    if (suite === undefined) return null
    const { masterKey, masterSalt } = SRTP_SUITES[suite]
    const material = new Uint8Array(2 * (masterKey + masterSalt))
    const label = EXPORTER_LABEL
    const done = this.#library.SSL_export_keying_material(
      ssl,
      material,
      material.length,
      label,
      label.length,
      null,
      0,
      0,
    )
    if (done !== 1) return null
    const salts = 2 * masterKey
    const client = {
      suite,
      masterKey: material.slice(0, masterKey),
      masterSalt: material.slice(salts, salts + masterSalt),
    }
    const server = {
      suite,
      masterKey: material.slice(masterKey, salts),
      masterSalt: material.slice(salts + masterSalt),
    }
    return this.#active ? { inbound: server, outbound: client } : { inbound: client, outbound: server }
  }

  /** What the library has written, as datagrams: as many whole records in each as fit. */
  #takeOutput(): Uint8Array[] {
    const output = present(this.#output, 'BIO')
    const pending = this.#library.BIO_ctrl(output, OPENSSL.BIO_CTRL_PENDING, 0, null)
    if (pending <= 0) return []
    const flight = new Uint8Array(Math.min(pending, FLIGHT_OCTETS_MAX))
    const octets = this.#library.BIO_read(output, flight, flight.length)
    return datagramsOf(flight.subarray(0, Math.max(octets, 0)))
  }

  #armRetransmit(ssl: Pointer): void {
    // struct timeval: two longs.
    const left = new BigInt64Array(2)
    const running = this.#library.SSL_ctrl(ssl, OPENSSL.DTLS_CTRL_GET_TIMEOUT, 0, new Uint8Array(left.buffer))
    if (running !== 1) return
    const leftMs = Number(left[0] as bigint) * 1_000 + Number(left[1] as bigint) / 1_000
    this.#dtls.clock.arm(this.#retransmit, 'retransmit', Math.max(leftMs, 0) + 1)
  }

  /**
   * The attempt has failed: another one, as a forged datagram may have spoilt it, or the end. It is the end when the far side was
   * authentic and has no profile of ours, and when the one that we called is another (RFC 5763 §5).
   */
  #abandon(reason: string): void {
    const isFinal = reason === 'DTLS_PROFILE' || (reason === 'DTLS_FINGERPRINT' && this.#active)
    if (isFinal || this.#attempts >= ATTEMPTS_MORE_MAX) {
      this.#fail(reason)
      return
    }
    this.#attempts += 1
    this.#dtls.clock.cancel(this.#retransmit)
    this.#free()
    this.#begin()
    // Not at once: what is still under way from the far side goes into nothing.
    if (this.#active) this.#dtls.clock.arm(this.#retransmit, 'retransmit', RETRY_MS)
  }

  /** Time is up. A passive side goes on waiting, unless it was another that came. */
  #expire(): void {
    if (this.#refused) this.#fail('DTLS_FINGERPRINT')
    else if (!this.#active) this.#abandon('DTLS_TIMEOUT')
    else this.#fail(this.#alerted ? 'DTLS_ALERT' : 'DTLS_TIMEOUT')
  }

  #fail(reason: string): void {
    this.#enter('ended')
    this.#sink.onDtlsFailed(reason)
  }

  #isOpen(): boolean {
    return this.#state !== 'ended'
  }

  #enter(next: State): void {
    assert(NEXT[this.#state].includes(next), `${this.#state} -> ${next}`)
    this.#state = next
    this.#dtls.clock.cancel(this.#retransmit)
    this.#dtls.clock.cancel(this.#limit)
    if (next !== 'ended') return
    this.#free()
    this.#dtls.onClosed()
  }
}

/**
 * What a datagram is by the headers of its records: `records` of the two epochs that there are (RFC 6347 §4.1), an `alert` in the
 * clear, or `junk`. The library takes some malformed records for the end of the association where §4.1.2.7 says to discard them.
 */
function contentOf(bytes: Uint8Array): 'records' | 'alert' | 'junk' {
  if (bytes.length > RECEIVED_OCTETS_MAX || bytes.length < RECORD_HEADER_OCTETS) return 'junk'
  let at = 0
  let alert = false
  while (at + RECORD_HEADER_OCTETS <= bytes.length) {
    const type = bytes[at] as number
    const epoch = ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number)
    const length = ((bytes[at + RECORD_LENGTH_AT] as number) << 8) | (bytes[at + RECORD_LENGTH_AT + 1] as number)
    // change_cipher_spec, alert, handshake, application_data; versions 1.0 (of a first ClientHello) and 1.2.
    if (type < 20 || type > 23 || bytes[at + 1] !== 0xfe || length === 0 || epoch > 1) return 'junk'
    if (epoch === 1 && length <= ENCRYPTED_OCTETS_MIN) return 'junk'
    if (epoch === 0 && type === ALERT) alert = true
    at += RECORD_HEADER_OCTETS + length
  }
  if (at !== bytes.length) return 'junk'
  return alert ? 'alert' : 'records'
}

/** Cuts a flight at record boundaries (RFC 6347 §4.1.1). */
function datagramsOf(flight: Uint8Array): Uint8Array[] {
  const datagrams: Uint8Array[] = []
  let begin = 0
  for (let at = 0; at < flight.length; ) {
    const length = ((flight[at + RECORD_LENGTH_AT] ?? 0) << 8) | (flight[at + RECORD_LENGTH_AT + 1] ?? 0)
    const next = Math.min(at + RECORD_HEADER_OCTETS + length, flight.length)
    if (next - begin > DATAGRAM_OCTETS_MAX && at > begin) {
      datagrams.push(flight.subarray(begin, at))
      begin = at
    }
    at = next
  }
  datagrams.push(flight.subarray(begin))
  return datagrams
}
