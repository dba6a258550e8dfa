import assert from 'node:assert/strict'
import { createCipheriv, createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { SRTP_SUITES, type SrtpKeys, type SrtpSuite } from '#core/srtp-keys.ts'
import { AesCounter } from '#rtp/_aes-counter.ts'
import { HmacSha1 } from '#rtp/_hmac-sha1.ts'
import { REPLAY_WINDOW, ReplayWindow } from '#rtp/_replay-window.ts'
import { deriveSessionKeys } from '#rtp/_srtp-derivation.ts'
import { estimateIndex, SRTP_OCTETS_MORE_MAX, SrtpContext } from '#rtp/srtp-context.ts'

const SUITES = Object.keys(SRTP_SUITES) as SrtpSuite[]

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function keysOf(suite: SrtpSuite, seed = 1, mki?: Uint8Array): SrtpKeys {
  const lengths = SRTP_SUITES[suite]
  const masterKey = new Uint8Array(lengths.masterKey).map((_, i) => seed * 31 + i)
  const masterSalt = new Uint8Array(lengths.masterSalt).map((_, i) => seed * 17 + i)
  return mki === undefined ? { suite, masterKey, masterSalt } : { suite, masterKey, masterSalt, mki }
}

/** An RTP packet with 160 octets of audio. */
function rtp(sequence: number, ssrc = 0xcafebabe): Uint8Array {
  const packet = Buffer.alloc(172, 0x55)
  packet.writeUInt16BE(0x8000, 0)
  packet.writeUInt16BE(sequence & 0xffff, 2)
  packet.writeUInt32BE(sequence * 160, 4)
  packet.writeUInt32BE(ssrc, 8)
  return packet
}

/** A receiver report without blocks, and an SDES that is not looked at. */
function rtcp(ssrc = 0xcafebabe): Uint8Array {
  const packet = Buffer.from('80c90001000000008101000400000000010a616c6963654068000000', 'hex')
  packet.writeUInt32BE(ssrc, 4)
  return packet
}

/** A copy with room behind it. */
function roomy(packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(packet.length + SRTP_OCTETS_MORE_MAX)
  bytes.set(packet)
  return bytes
}

function protectedRtp(context: SrtpContext, packet: Uint8Array): Uint8Array {
  const bytes = roomy(packet)
  const length = context.protectRtp(bytes, packet.length)
  assert.ok(length > 0, context.refusal)
  return bytes.slice(0, length)
}

function protectedRtcp(context: SrtpContext, packet: Uint8Array): Uint8Array {
  const bytes = roomy(packet)
  const length = context.protectRtcp(bytes, packet.length)
  assert.ok(length > 0, context.refusal)
  return bytes.slice(0, length)
}

/** The packet in the clear as hex, or the refusal. */
function openRtp(context: SrtpContext, packet: Uint8Array): string {
  const bytes = packet.slice()
  const length = context.unprotectRtp(bytes, bytes.length)
  return length < 0 ? context.refusal : text(bytes.subarray(0, length))
}

function openRtcp(context: SrtpContext, packet: Uint8Array): string {
  const bytes = packet.slice()
  const length = context.unprotectRtcp(bytes, bytes.length)
  return length < 0 ? context.refusal : text(bytes.subarray(0, length))
}

test('RFC 3711 B.2: the key stream of AES in counter mode, up to its last blocks', () => {
  const stream = new Uint8Array(0xff02 * 16)
  new AesCounter(hex('2B7E151628AED2A6ABF7158809CF4F3C'), hex('F0F1F2F3F4F5F6F7F8F9FAFBFCFD')).crypt(
    stream,
    0,
    stream.length,
    0,
    0,
    0,
  )
  const first = 'e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0'
  const last = 'ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae6a2cc3787889374fbeb4c81b17ba6c44'
  assert.equal(text(stream.subarray(0, 48)), first)
  assert.equal(text(stream.subarray(-48)), last)
})

test('RFC 3711 B.3: session keys from the master key', () => {
  const keys: SrtpKeys = {
    suite: 'AES_CM_128_HMAC_SHA1_80',
    masterKey: hex('E1F97A0D3E018BE0D64FA32C06DE4139'),
    masterSalt: hex('0EC675AD498AFEEBB6960B3AABE6'),
  }
  const session = deriveSessionKeys(keys, false)
  assert.equal(text(session.encryption), 'c61e7a93744f39ee10734afe3ff7a087')
  assert.equal(text(session.salt), '30cbbc08863d8c85d49db34a9ae1')
  assert.equal(text(session.authentication), 'cebe321f6ff7716b6fd4ab49af256a156d38baa4')
})

test('RFC 3711 §4.2.1: the sum is HMAC-SHA1 for every length and key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.uint8Array({ maxLength: 400 }), (key, bytes) => {
      const sum = new Uint8Array(20)
      new HmacSha1(key).sum(bytes, bytes.length, sum, 0, 20)
      assert.equal(text(sum), createHmac('sha1', key).update(bytes).digest('hex'))
    }),
    { numRuns: 300 },
  )
})

test('RFC 3711 §4.1.1: packets of any length get the key stream of AES in counter mode', () => {
  const key = hex('2B7E151628AED2A6ABF7158809CF4F3C')
  const counter = new AesCounter(key, hex('F0F1F2F3F4F5F6F7F8F9FAFBFCFD'))
  fc.assert(
    fc.property(fc.nat(5_000), fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), fc.nat(65_535), (octets, ssrc, high, low) => {
      const iv = Buffer.from(hex('F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000'))
      iv.writeUInt32BE((iv.readUInt32BE(4) ^ ssrc) >>> 0, 4)
      iv.writeUInt32BE((iv.readUInt32BE(8) ^ high) >>> 0, 8)
      iv.writeUInt16BE(iv.readUInt16BE(12) ^ low, 12)
      const bytes = new Uint8Array(octets + 7)
      counter.crypt(bytes, 7, octets + 7, ssrc, high, low)
      const stream = createCipheriv('aes-128-ctr', key, iv).update(new Uint8Array(octets))
      assert.equal(text(bytes), `00000000000000${stream.toString('hex')}`)
    }),
    { numRuns: 200 },
  )
})

test('RFC 3711 §4: whole packets are those of other implementations', () => {
  const keys: SrtpKeys = {
    suite: 'AES_CM_128_HMAC_SHA1_80',
    masterKey: hex('E1F97A0D3E018BE0D64FA32C06DE4139'),
    masterSalt: hex('0EC675AD498AFEEBB6960B3AABE6'),
  }
  const packet = hex(`800f1234decafbadcafebabe${'ab'.repeat(16)}`)
  const srtp = '800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb'
  assert.equal(text(protectedRtp(new SrtpContext(keys), packet)), srtp)
  const report = `81c8000bcafebabe${'ab'.repeat(16)}`
  const srtcp = '81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798'
  assert.equal(openRtcp(new SrtpContext(keys), hex(srtcp)), report)
  const sender = new SrtpContext(keys)
  protectedRtcp(sender, hex(report))
  assert.equal(text(protectedRtcp(sender, hex(report))), srtcp, 'the second packet has index 1')
})

test('a packet without room behind it for the tag is refused', () => {
  const sender = new SrtpContext(keysOf('AES_CM_128_HMAC_SHA1_80'))
  assert.equal(sender.protectRtp(rtp(1), 172), -1)
  assert.equal(sender.refusal, 'MEDIA_OVERSIZED')
  assert.equal(sender.protectRtcp(rtcp(), rtcp().length), -1)
  assert.equal(sender.refusal, 'MEDIA_OVERSIZED')
})

// RFC 7714 §16 and §17 give session keys.
const GCM_SALT = hex('51756964 2070726f 2071756f')
const GCM_RTP = hex(
  '8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573',
)
const GCM_RTCP = hex(
  '81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef',
)

function gcm(suite: SrtpSuite): SrtpContext {
  const encryption = new Uint8Array(SRTP_SUITES[suite].masterKey).map((_, i) => i)
  return new SrtpContext(keysOf(suite), { encryption, authentication: new Uint8Array(0), salt: GCM_SALT })
}

test('RFC 7714 §16.1: SRTP with AEAD_AES_128_GCM', () => {
  const srtp =
    '8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833' +
    '899d7f27beb16a9152cf765ee4390cce'
  assert.equal(text(protectedRtp(gcm('AEAD_AES_128_GCM'), GCM_RTP)), srtp)
  assert.equal(openRtp(gcm('AEAD_AES_128_GCM'), hex(srtp)), text(GCM_RTP))
})

test('RFC 7714 §16.2: SRTP with AEAD_AES_256_GCM', () => {
  const srtp =
    '8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b' +
    '7aa3db36dfffd6b0f9bb7878d7a76c13'
  assert.equal(text(protectedRtp(gcm('AEAD_AES_256_GCM'), GCM_RTP)), srtp)
  assert.equal(openRtp(gcm('AEAD_AES_256_GCM'), hex(srtp)), text(GCM_RTP))
})

test('RFC 7714 §17: SRTCP with AES-GCM, encrypted and only authenticated', () => {
  const encrypted128 =
    '81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b' +
    'c84aa45896cf4d2fc5abf87245d9eade800005d4'
  const encrypted256 =
    '81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad' +
    '1d1eb30c4446839f57ff6f6cb26ac3be800005d4'
  const clear128 = `${text(GCM_RTCP)}841dd9683dd78ec92ae58790125f62b3000005d4`
  assert.equal(openRtcp(gcm('AEAD_AES_128_GCM'), hex(encrypted128)), text(GCM_RTCP))
  assert.equal(openRtcp(gcm('AEAD_AES_256_GCM'), hex(encrypted256)), text(GCM_RTCP))
  assert.equal(openRtcp(gcm('AEAD_AES_128_GCM'), hex(clear128)), text(GCM_RTCP))
  // Index 0x5d4 is the 1493rd packet that a sender protects.
  const sender = gcm('AEAD_AES_128_GCM')
  for (let i = 0; i < 0x5d4; i += 1) protectedRtcp(sender, GCM_RTCP)
  assert.equal(text(protectedRtcp(sender, GCM_RTCP)), encrypted128)
})

for (const suite of SUITES) {
  test(`${suite}: what one side protects the other opens, and nobody with another key does`, () => {
    const sender = new SrtpContext(keysOf(suite))
    const receiver = new SrtpContext(keysOf(suite))
    const stranger = new SrtpContext(keysOf(suite, 2))
    for (let sequence = 0; sequence < 20; sequence += 1) {
      const srtp = protectedRtp(sender, rtp(sequence))
      assert.equal(srtp.length, 172 + SRTP_SUITES[suite].rtpTag)
      assert.notEqual(text(srtp.subarray(12, 172)), text(rtp(sequence).subarray(12)))
      assert.equal(openRtp(stranger, srtp), 'MEDIA_AUTH')
      assert.equal(openRtp(receiver, srtp), text(rtp(sequence)))
      assert.equal(openRtp(receiver, srtp), 'MEDIA_REPLAY')
      const srtcp = protectedRtcp(sender, rtcp())
      assert.equal(srtcp.length, rtcp().length + 4 + SRTP_SUITES[suite].rtcpTag)
      assert.equal(openRtcp(stranger, srtcp), 'MEDIA_AUTH')
      assert.equal(openRtcp(receiver, srtcp), text(rtcp()))
      assert.equal(openRtcp(receiver, srtcp), 'MEDIA_REPLAY')
    }
  })

  test(`${suite}: a change of any octet is refused, and what was refused does not count as received`, () => {
    const receiver = new SrtpContext(keysOf(suite))
    const sender = new SrtpContext(keysOf(suite))
    const srtp = protectedRtp(sender, rtp(7))
    const srtcp = protectedRtcp(sender, rtcp())
    for (let at = 0; at < srtp.length; at += 1) {
      const changed = srtp.slice()
      changed[at] = (changed[at] as number) ^ 0x01
      assert.match(openRtp(receiver, changed), /^MEDIA_(AUTH|MALFORMED)$/, `octet ${at}`)
    }
    for (let at = 0; at < srtcp.length; at += 1) {
      const changed = srtcp.slice()
      changed[at] = (changed[at] as number) ^ 0x01
      assert.match(openRtcp(receiver, changed), /^MEDIA_(AUTH|MALFORMED)$/, `octet ${at}`)
    }
    for (let length = 0; length < srtp.length; length += 1) {
      assert.match(openRtp(receiver, srtp.subarray(0, length)), /^MEDIA_(AUTH|MALFORMED)$/, `${length} octets`)
    }
    assert.equal(openRtp(receiver, srtp), text(rtp(7)))
    assert.equal(openRtcp(receiver, srtcp), text(rtcp()))
  })

  test(`${suite}: RFC 3711 §3.3.1: the rollover counter goes on where sequence numbers begin again, late packets too`, () => {
    const sender = new SrtpContext(keysOf(suite))
    const receiver = new SrtpContext(keysOf(suite))
    const late = protectedRtp(sender, rtp(65_533))
    for (const sequence of [65_534, 65_535, 65_536, 65_537]) {
      assert.equal(openRtp(receiver, protectedRtp(sender, rtp(sequence))), text(rtp(sequence)), `${sequence}`)
    }
    assert.equal(openRtp(receiver, late), text(rtp(65_533)))
    for (let sequence = 66_000; sequence < 400_000; sequence += 20_000) {
      assert.equal(openRtp(receiver, protectedRtp(sender, rtp(sequence))), text(rtp(sequence)), `${sequence}`)
    }
  })

  test(`${suite}: the master key identifier stands where RFC 3711 §3.1 and RFC 7714 have it, and must be ours`, () => {
    const mki = new Uint8Array([1, 2, 3, 4])
    const tag = SRTP_SUITES[suite].rtpTag
    const sender = new SrtpContext(keysOf(suite, 1, mki))
    const receiver = new SrtpContext(keysOf(suite, 1, mki))
    const srtp = protectedRtp(sender, rtp(1))
    const at = suite.startsWith('AEAD') ? 172 + tag : 172
    assert.equal(text(srtp.subarray(at, at + 4)), '01020304')
    assert.equal(srtp.length, 172 + 4 + tag)
    assert.equal(openRtp(receiver, srtp), text(rtp(1)))
    const srtcp = protectedRtcp(sender, rtcp())
    assert.equal(openRtcp(receiver, srtcp), text(rtcp()))
    const other = new SrtpContext(keysOf(suite, 1, new Uint8Array([1, 2, 3, 5])))
    assert.equal(openRtp(other, srtp), 'MEDIA_AUTH')
    assert.equal(openRtcp(other, srtcp), 'MEDIA_AUTH')
  })

  test(`${suite}: CSRCs and a header extension stay in the clear and are authenticated`, () => {
    const packet = Buffer.concat([
      Buffer.from('92000001000000a0cafebabe', 'hex'),
      Buffer.from('1111111122222222', 'hex'),
      Buffer.from('bede000110ff0000', 'hex'),
      Buffer.from('payload'),
    ])
    const srtp = protectedRtp(new SrtpContext(keysOf(suite)), packet)
    assert.equal(text(srtp.subarray(0, 28)), text(packet.subarray(0, 28)))
    assert.notEqual(text(srtp.subarray(28, 35)), text(packet.subarray(28)))
    const changed = srtp.slice()
    changed[13] = 0
    assert.equal(openRtp(new SrtpContext(keysOf(suite)), changed), 'MEDIA_AUTH')
    assert.equal(openRtp(new SrtpContext(keysOf(suite)), srtp), text(packet))
  })

  test(`${suite}: any octets and any mutated packet are refused or opened, never an error`, () => {
    const sender = new SrtpContext(keysOf(suite))
    const receiver = new SrtpContext(keysOf(suite))
    const good = [protectedRtp(sender, rtp(1)), protectedRtcp(sender, rtcp())]
    const mutated = fc
      .tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1 }), fc.nat(200))
      .map(([packet, changes, length]) => {
        const bytes = packet.slice(0, Math.max(length, 1))
        for (const [at, octet] of changes) bytes[at % bytes.length] = octet
        return bytes
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
        if (good.some((packet) => text(packet) === text(bytes))) return
        assert.match(openRtp(receiver, bytes), /^MEDIA_/)
        assert.match(openRtcp(receiver, bytes), /^MEDIA_/)
        const room = roomy(bytes)
        sender.protectRtp(room, bytes.length)
        sender.protectRtcp(roomy(bytes), bytes.length)
      }),
      { numRuns: 500 },
    )
  })
}

test('RFC 3711 §9.1: a sender does not take a sequence number twice, nor one of before', () => {
  const sender = new SrtpContext(keysOf('AES_CM_128_HMAC_SHA1_80'))
  protectedRtp(sender, rtp(1_000))
  assert.equal(sender.protectRtp(roomy(rtp(1_000)), 172), -1)
  assert.equal(sender.refusal, 'MEDIA_REPLAY')
  assert.equal(sender.protectRtp(roomy(rtp(1_000 - REPLAY_WINDOW)), 172), -1)
  assert.equal(sender.refusal, 'MEDIA_REPLAY')
  protectedRtp(sender, rtp(999))
})

test('§3.3.2: what is older than the window is refused', () => {
  const sender = new SrtpContext(keysOf('AEAD_AES_128_GCM'))
  const receiver = new SrtpContext(keysOf('AEAD_AES_128_GCM'))
  const packets = [...Array(REPLAY_WINDOW + 1).keys()].map((i) => protectedRtp(sender, rtp(100 + i)))
  openRtp(receiver, packets[REPLAY_WINDOW] as Uint8Array)
  assert.equal(openRtp(receiver, packets[0] as Uint8Array), 'MEDIA_REPLAY')
  assert.equal(openRtp(receiver, packets[1] as Uint8Array), text(rtp(101)))
})

test('§3.3.2: the window takes every index once, in any order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 200 }), (indices) => {
      const window = new ReplayWindow()
      const seen = new Set<number>()
      let highest = -1
      for (const index of indices) {
        const fresh = index > highest - REPLAY_WINDOW && !seen.has(index)
        assert.equal(window.isFresh(index), fresh)
        if (!fresh) continue
        window.note(index)
        seen.add(index)
        highest = Math.max(highest, index)
      }
    }),
  )
})

test('Appendix A: the index nearest to the highest one', () => {
  const at = (rollover: number, sequence: number): number => rollover * 65_536 + sequence
  assert.equal(estimateIndex(-1, 40_000), 40_000)
  assert.equal(estimateIndex(at(1, 10), 11), at(1, 11))
  assert.equal(estimateIndex(at(1, 10), 65_535), at(0, 65_535))
  assert.equal(estimateIndex(at(1, 65_535), 0), at(2, 0))
  assert.equal(estimateIndex(at(1, 40_000), 7_000), at(2, 7_000))
  assert.equal(estimateIndex(at(1, 40_000), 7_232), at(1, 7_232))
  assert.ok(estimateIndex(3, 65_535) < 0)
})

test('sources are bounded, and a stranger cannot use them up', () => {
  const sender = new SrtpContext(keysOf('AES_CM_128_HMAC_SHA1_80'))
  const receiver = new SrtpContext(keysOf('AES_CM_128_HMAC_SHA1_80'))
  for (let ssrc = 1; ssrc <= 100; ssrc += 1) {
    const forger = new SrtpContext(keysOf('AES_CM_128_HMAC_SHA1_80', 2))
    assert.equal(openRtp(receiver, protectedRtp(forger, rtp(1, ssrc))), 'MEDIA_AUTH')
  }
  for (let ssrc = 1; ssrc <= 64; ssrc += 1) {
    assert.equal(openRtp(receiver, protectedRtp(sender, rtp(1, ssrc))), text(rtp(1, ssrc)))
  }
  assert.equal(sender.protectRtp(roomy(rtp(1, 65)), 172), -1)
  assert.equal(sender.refusal, 'MEDIA_SSRC_MAX')
  const other = new SrtpContext(keysOf('AES_CM_128_HMAC_SHA1_80'))
  assert.equal(openRtp(receiver, protectedRtp(other, rtp(1, 65))), 'MEDIA_SSRC_MAX')
  assert.equal(openRtp(receiver, protectedRtp(sender, rtp(2, 64))), text(rtp(2, 64)))
})
