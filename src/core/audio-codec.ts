// The audio-codec port: linear samples ↔ RTP payloads, one object for each direction of each stream.

/** Turns samples of one stream into payloads. */
export interface AudioEncoder {
  /** Samples per second that `encode` takes. */
  readonly sampleRate: number
  /** Samples that `encode` takes must be a multiple of this (80 for G729's 10 ms; 1 for G.711). */
  readonly frameSamples: number
  /**
   * Encodes one packet's samples (16-bit linear, mono) into `target` and gives the octets written. 0: nothing to send
   * (discontinuous transmission, or `target` is too short, or a length that the encoding does not have). Keeps no buffer.
   */
  encode(samples: Int16Array, target: Uint8Array): number
  /** Frees what the library holds; the encoder must not be used again. A second call does nothing. */
  close(): void
}

/** Turns payloads of one stream into samples. */
export interface AudioDecoder {
  /** Samples per second that `decode` gives. */
  readonly sampleRate: number
  /**
   * Decodes one payload into `target` (16-bit linear, mono) and gives the number of samples written. 0: not a payload of
   * this encoding, or `target` is too short. Any octets are survived. Keeps no buffer.
   */
  decode(payload: Uint8Array, target: Int16Array): number
  /**
   * Conceals one lost packet, as long as the last decoded one (20 ms before the first), and gives the number of samples
   * written. `next` is the payload that follows the lost one, when it is there already: an encoding with redundancy in
   * it (RFC 6716 §2.1.7) takes it from there. `next` must still be decoded afterwards.
   */
  decodeLost(target: Int16Array, next?: Uint8Array): number
  /** Frees what the library holds; the decoder must not be used again. A second call does nothing. */
  close(): void
}

/** The audio codecs that a process has. Encodings are RTP names in upper case: PCMU, PCMA, G722, OPUS, G729, L16. */
export interface AudioCodecs {
  /** The encodings that can be made now, in our order of preference. */
  readonly available: readonly string[]
  /**
   * An encoder, or null when the encoding is not available or too many are open. `parameters` is the value of a=fmtp as the
   * far side gave it, or ''. `sampleRate` is what the caller would like: OPUS honours 8000, 12000, 16000, 24000 and
   * 48000, L16 any; the others have one of their own. What it became is in `AudioEncoder.sampleRate`.
   */
  encoder(encoding: string, parameters: string, sampleRate: number): AudioEncoder | null
  /** A decoder; as `encoder`. `parameters` are ours: what we told the far side. */
  decoder(encoding: string, parameters: string, sampleRate: number): AudioDecoder | null
}
