// The DTLS of the OpenSSL that Node itself is built with, through koffi, where both are there.

import { createRequire } from 'node:module'

/** Numbers of OpenSSL's headers (ssl.h, bio.h, x509_vfy.h), stable since 1.1.1. */
export const OPENSSL = {
  DTLS1_2_VERSION: 0xfefd,
  SSL_CTRL_SET_MTU: 17,
  SSL_CTRL_SET_SESS_CACHE_MODE: 44,
  SSL_CTRL_SET_MIN_PROTO_VERSION: 123,
  DTLS_CTRL_GET_TIMEOUT: 73,
  DTLS_CTRL_HANDLE_TIMEOUT: 74,
  SSL_OP_NO_QUERY_MTU: 1 << 12,
  SSL_OP_NO_TICKET: 1 << 14,
  SSL_OP_NO_RENEGOTIATION: 1 << 30,
  SSL_VERIFY_PEER: 1,
  SSL_VERIFY_FAIL_IF_NO_PEER_CERT: 2,
  SSL_ERROR_WANT_READ: 2,
  SSL_ERROR_ZERO_RETURN: 6,
  EVP_PKEY_RSA: 6,
  EVP_PKEY_EC: 408,
  BIO_CTRL_RESET: 1,
  BIO_CTRL_PENDING: 10,
  X509_V_ERR_CERT_REJECTED: 28,
} as const

/** The address of an object of the library. */
export type Pointer = { readonly brand: unique symbol }

/** The functions that are used, under their own names. `long` values are numbers; octets are the caller's memory. */
export interface OpenSsl {
  DTLS_method(): Pointer
  SSL_CTX_new(method: Pointer): Pointer | null
  SSL_CTX_ctrl(context: Pointer, command: number, value: number, pointer: null): number
  SSL_CTX_set_options(context: Pointer, options: number): number
  SSL_CTX_set_cipher_list(context: Pointer, ciphers: string): number
  SSL_CTX_use_certificate_ASN1(context: Pointer, octets: number, der: Uint8Array): number
  SSL_CTX_use_PrivateKey_ASN1(type: number, context: Pointer, der: Uint8Array, octets: number): number
  SSL_CTX_set_tlsext_use_srtp(context: Pointer, profiles: string): number
  SSL_CTX_set_verify(context: Pointer, mode: number, callback: null): void
  SSL_CTX_set_cert_verify_callback(context: Pointer, callback: Pointer, argument: null): void
  SSL_CTX_free(context: Pointer): void
  SSL_new(context: Pointer): Pointer | null
  SSL_ctrl(ssl: Pointer, command: number, value: number, memory: Uint8Array | null): number
  SSL_set_bio(ssl: Pointer, read: Pointer, write: Pointer): void
  SSL_set_accept_state(ssl: Pointer): void
  SSL_set_connect_state(ssl: Pointer): void
  SSL_do_handshake(ssl: Pointer): number
  SSL_read(ssl: Pointer, target: Uint8Array, octets: number): number
  SSL_shutdown(ssl: Pointer): number
  SSL_get_error(ssl: Pointer, result: number): number
  SSL_get_selected_srtp_profile(ssl: Pointer): Pointer | null
  SSL_export_keying_material(
    ssl: Pointer,
    target: Uint8Array,
    octets: number,
    label: string,
    labelOctets: number,
    context: null,
    contextOctets: number,
    useContext: number,
  ): number
  SSL_free(ssl: Pointer): void
  BIO_s_mem(): Pointer
  BIO_new(method: Pointer): Pointer | null
  BIO_write(bio: Pointer, bytes: Uint8Array, octets: number): number
  BIO_read(bio: Pointer, target: Uint8Array, octets: number): number
  BIO_ctrl(bio: Pointer, command: number, value: number, pointer: null): number
  BIO_free(bio: Pointer): number
  X509_STORE_CTX_get0_cert(store: Pointer): Pointer | null
  X509_STORE_CTX_set_error(store: Pointer, error: number): void
  X509_digest(certificate: Pointer, digest: Pointer, target: Uint8Array, octets: Uint8Array): number
  EVP_sha256(): Pointer
  ERR_clear_error(): void
  /** The number of a protection profile (RFC 5764 §4.1.2). */
  profileId(profile: Pointer): number
  /** A function of type `int (X509_STORE_CTX *, void *)` that calls `verify`, which must not throw. Kept for ever. */
  verifier(verify: (store: Pointer) => number): Pointer
}

/** Return type and parameters, as koffi reads them. */
const FUNCTIONS = [
  'void *DTLS_method()',
  'void *SSL_CTX_new(void *)',
  'long SSL_CTX_ctrl(void *, int, long, void *)',
  'uint64_t SSL_CTX_set_options(void *, uint64_t)',
  'int SSL_CTX_set_cipher_list(void *, str)',
  'int SSL_CTX_use_certificate_ASN1(void *, int, void *)',
  'int SSL_CTX_use_PrivateKey_ASN1(int, void *, void *, long)',
  'int SSL_CTX_set_tlsext_use_srtp(void *, str)',
  'void SSL_CTX_set_verify(void *, int, void *)',
  'void SSL_CTX_set_cert_verify_callback(void *, void *, void *)',
  'void SSL_CTX_free(void *)',
  'void *SSL_new(void *)',
  'long SSL_ctrl(void *, int, long, void *)',
  'void SSL_set_bio(void *, void *, void *)',
  'void SSL_set_accept_state(void *)',
  'void SSL_set_connect_state(void *)',
  'int SSL_do_handshake(void *)',
  'int SSL_read(void *, void *, int)',
  'int SSL_shutdown(void *)',
  'int SSL_get_error(void *, int)',
  'void *SSL_get_selected_srtp_profile(void *)',
  'int SSL_export_keying_material(void *, void *, size_t, str, size_t, void *, size_t, int)',
  'void SSL_free(void *)',
  'void *BIO_s_mem()',
  'void *BIO_new(void *)',
  'int BIO_write(void *, void *, int)',
  'int BIO_read(void *, void *, int)',
  'long BIO_ctrl(void *, int, long, void *)',
  'int BIO_free(void *)',
  'void *X509_STORE_CTX_get0_cert(void *)',
  'void X509_STORE_CTX_set_error(void *, int)',
  'int X509_digest(void *, void *, void *, void *)',
  'void *EVP_sha256()',
  'void ERR_clear_error()',
] as const

/** The functions, or null: no koffi, or a Node whose OpenSSL is not to be seen from outside or has no DTLS. */
export function openSsl(): OpenSsl | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const library = koffi.load(null)
    const functions = FUNCTIONS.map((declaration) => {
      const name = /(\w+)\(/.exec(declaration)?.[1] ?? ''
      return [name, library.func(declaration)] as const
    })
    const verifierType = koffi.pointer(koffi.proto('int', ['void *', 'void *']))
    return {
      ...(Object.fromEntries(functions) as unknown as Omit<OpenSsl, 'profileId' | 'verifier'>),
      // struct { const char *name; unsigned long id }
      profileId: (profile) => Number(koffi.decode(profile as never, 8, 'unsigned long')),
      verifier: (verify) => koffi.register(verify as never, verifierType) as unknown as Pointer,
    }
  } catch {
    return null
  }
}
