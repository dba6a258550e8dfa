// What the parties of the packet load say: two seconds like speech (voiced, hissing and silent stretches), encoded once.

import type { Speech } from '#bench/packet-load.ts'
import { present } from '#core/assert.ts'
import { CodecSet } from '#gateway/audio/codec-set.ts'
import { audioCodecs } from '#host/audio-codecs.ts'

const SECONDS = 2
const PACKETS = SECONDS * 50
const OCTETS_MAX = 400
const PAYLOAD_TYPES = { PCMU: 0, OPUS: 96, G729: 18 } as const

export async function speechOf(encoding: keyof typeof PAYLOAD_TYPES): Promise<Speech> {
  const codecs = new CodecSet(await audioCodecs({ event: () => undefined }))
  const encoder = present(codecs.encoder(encoding, '', encoding === 'OPUS' ? 48_000 : 8_000), encoding)
  const rate = encoder.sampleRate
  const samples = new Int16Array(rate / 50)
  const target = new Uint8Array(OCTETS_MAX)
  const payloads: Buffer[] = []
  let noise = 1
  for (let packet = 0; packet < PACKETS; packet++) {
    for (let index = 0; index < samples.length; index++) {
      const t = packet / 50 + index / rate
      noise = (Math.imul(noise, 1_103_515_245) + 12_345) | 0
      samples[index] = sample(t, noise / 2 ** 31)
    }
    payloads.push(Buffer.from(target.subarray(0, encoder.encode(samples, target))))
  }
  encoder.close()
  return { payloadType: PAYLOAD_TYPES[encoding], ticks: encoding === 'OPUS' ? 960 : 160, payloads }
}

/** A voice that glides, with overtones, in syllables of a fifth of a second; every fourth is a hiss, every eighth is silent. */
function sample(t: number, noise: number): number {
  const syllable = Math.floor(t * 5)
  const envelope = Math.sin(Math.PI * ((t * 5) % 1))
  if (syllable % 8 === 7) return noise * 20
  if (syllable % 4 === 3) return noise * envelope * 3_000
  const phase = 2 * Math.PI * (120 * t + 2 * Math.sin(3 * t))
  let voice = 0
  for (let overtone = 1; overtone <= 12; overtone++) voice += Math.sin(overtone * phase) / overtone
  return (voice * 4_000 + noise * 200) * envelope
}
