// Parsing and writing: RFC 8866, with an independent parser beside ours, and with random texts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
// @ts-expect-error The package has no types; what is used of it is declared below.
import sdpTransform from 'sdp-transform'
import { CHROME, CORPUS, faultyTexts, SEMINAR, SIPP } from '#sdp/_test-corpus.ts'
import { addressOf } from '#sdp/connection.ts'
import { directionOf } from '#sdp/direction.ts'
import { remoteMediaOf } from '#sdp/local-media.ts'
import { codecsOf } from '#sdp/sdp-codec.ts'
import {
  isSdpProblem,
  parseSdp,
  SDP_FORMATS_MAX,
  SDP_LINE_OCTETS_MAX,
  SDP_LINES_MAX,
  SDP_MEDIA_MAX,
  SDP_OCTETS_MAX,
  type SdpProblem,
  type SessionDescription,
  withMedia,
  writeSdp,
} from '#sdp/session-description.ts'

/** What the oracle gives, as far as it is compared. */
interface OracleDescription {
  readonly origin: {
    username: string
    sessionId: number | string
    sessionVersion: number
    ipVer: number
    address: string
  }
  readonly name?: string
  readonly connection?: { version: number; ip: string }
  readonly direction?: string
  readonly icelite?: string
  readonly groups?: { type: string; mids: string }[]
  readonly media: OracleMedia[]
}
interface OracleMedia {
  readonly type: string
  readonly port: number
  readonly protocol: string
  readonly payloads: string | number
  readonly connection?: { version: number; ip: string }
  readonly direction?: string
  readonly rtp: { payload: number; codec: string; rate: number; encoding?: number }[]
  readonly fmtp: { payload: number; config: string }[]
  readonly ptime?: number
  readonly maxptime?: number
  readonly rtcpMux?: string
  readonly mid?: string | number
  readonly crypto?: { id: number; suite: string; config: string }[]
  readonly fingerprint?: { type: string; hash: string }
  readonly setup?: string
  readonly iceUfrag?: string
  readonly icePwd?: string
  readonly candidates?: {
    foundation: string
    component: number
    ip: string
    port: number
    priority: number
    type: string
  }[]
  readonly ssrcs?: { id: number }[]
}
const oracle: { parse(text: string): OracleDescription } = sdpTransform

function parsed(text: string): SessionDescription {
  const description = parseSdp(text)
  assert.ok(!isSdpProblem(description), JSON.stringify(description))
  return description
}

function problemOf(text: string): SdpProblem {
  const problem = parseSdp(text)
  assert.ok(isSdpProblem(problem), 'parsed')
  assert.match(problem.message, /^[A-Z].*\.$/)
  return problem
}

for (const [name, text] of Object.entries(CORPUS)) {
  test(`what is written is what was read: ${name}`, () => {
    assert.equal(writeSdp(parsed(text)), text)
  })

  test(`an independent parser finds the same: ${name}`, () => {
    const ours = parsed(text)
    // The oracle knows no count of ports.
    const theirs = oracle.parse(text.replace('49170/2', '49170'))
    assert.equal(ours.origin.username, theirs.origin.username)
    assert.equal(ours.origin.sessionId, String(theirs.origin.sessionId))
    assert.equal(ours.origin.sessionVersion, String(theirs.origin.sessionVersion))
    assert.equal(ours.origin.address.host, theirs.origin.address)
    assert.equal(ours.name, theirs.name)
    assert.equal(ours.media.length, theirs.media.length)
    for (const [at, media] of ours.media.entries()) {
      const other = theirs.media[at]
      assert.ok(other !== undefined)
      const remote = remoteMediaOf(ours, media)
      assert.deepEqual(
        [media.kind, media.port, media.protocol, media.formats.join(' ')],
        [other.type, other.port, other.protocol, String(other.payloads)],
      )
      assert.equal(addressOf(ours, media)?.host, (other.connection ?? theirs.connection)?.ip.replace(/\/.*/, ''))
      assert.equal(directionOf(ours, media), other.direction ?? theirs.direction ?? 'sendrecv')
      for (const map of other.rtp) {
        const codec = remote.codecs.find((candidate) => candidate.payloadType === map.payload)
        assert.deepEqual(codec, {
          payloadType: map.payload,
          encoding: map.codec.toUpperCase(),
          clockRate: map.rate,
          channels: Number(map.encoding ?? 1),
          parameters: other.fmtp.find((format) => format.payload === map.payload)?.config ?? '',
        })
      }
      assert.equal(remote.ptimeMs, other.ptime ?? null)
      assert.equal(remote.maxptimeMs, other.maxptime ?? null)
      assert.equal(remote.rtcpMux, other.rtcpMux !== undefined)
      assert.equal(remote.mid, other.mid === undefined ? null : String(other.mid))
      assert.deepEqual(
        remote.crypto.map((crypto) => [crypto.tag, crypto.suite]),
        (other.crypto ?? []).map((crypto) => [crypto.id, crypto.suite]),
      )
      assert.deepEqual(
        remote.fingerprints.map((fingerprint) => [fingerprint.hash, fingerprint.value]),
        other.fingerprint === undefined ? [] : [[other.fingerprint.type, other.fingerprint.hash]],
      )
      assert.equal(remote.setup, other.setup ?? null)
      assert.equal(remote.ice?.ufrag, other.iceUfrag)
      assert.equal(remote.ice?.password, other.icePwd)
      assert.deepEqual(
        (remote.ice?.candidates ?? []).map((c) => [c.foundation, c.component, c.priority, c.address, c.port, c.type]),
        (other.candidates ?? []).map((c) => [String(c.foundation), c.component, c.priority, c.ip, c.port, c.type]),
      )
      assert.deepEqual(
        remote.ssrcs.map((source) => source.ssrc),
        [...new Set((other.ssrcs ?? []).map((source) => Number(source.id)))],
      )
    }
  })
}

test('lines may end in LF alone, and are written with CRLF (RFC 8866 §5)', () => {
  assert.equal(writeSdp(parsed(SIPP.replaceAll('\r\n', '\n'))), SIPP)
  assert.equal(writeSdp(parsed(SIPP.slice(0, -2))), SIPP)
  assert.equal(writeSdp(parsed(`${SIPP}\r\n\r\n`)), SIPP)
})

test('a type letter and attributes that nobody knows keep their place and octets', () => {
  const description = parsed(SEMINAR)
  assert.deepEqual(description.media[1]?.lines, ['y=octets that nobody knows'])
  assert.equal(description.media[2]?.lines.at(-1), 'a=X-unknown:\xe9\xff \t end')
})

test('a missing s= counts as "-"', () => {
  assert.equal(parsed('v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nt=0 0\r\n').name, '-')
})

test('a media description is replaced in its place, and the rest stays', () => {
  const description = parsed(SEMINAR)
  const [, second] = description.media
  assert.ok(second !== undefined)
  const changed = withMedia(description, 1, { ...second, port: 0 })
  assert.equal(writeSdp(changed), SEMINAR.replace('49180', '0'))
})

const START = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n'

test('what is no description is told with a code and a line', () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['', 'SDP_VERSION', 1],
    ['v=1\r\n', 'SDP_VERSION', 1],
    ['hello', 'SDP_LINE', 1],
    ['v=0\r\n', 'SDP_ORIGIN', 2],
    ['v=0\r\ns=-\r\n', 'SDP_ORIGIN', 2],
    ['v=0\r\no=- 1 1 IN IP4\r\n', 'SDP_ORIGIN', 2],
    ['v=0\r\no=- a 1 IN IP4 192.0.2.1\r\n', 'SDP_ORIGIN', 2],
    [`${START}\r\na=x\r\n`, 'SDP_LINE', 5],
    [`${START}a=x\ry\r\n`, 'SDP_LINE', 5],
    [`${START}a=x\0y\r\n`, 'SDP_LINE', 5],
    [`${START}a=\u20ac\r\n`, 'SDP_LINE', 5],
    [`${START} a=x\r\n`, 'SDP_LINE', 5],
    [`${START}c=IN IP4\r\n`, 'SDP_CONNECTION', 5],
    [`${START}m=audio 5000 RTP/AVP 0\r\nc=192.0.2.1\r\n`, 'SDP_CONNECTION', 6],
    [`${START}m=audio 5000 RTP/AVP\r\n`, 'SDP_MEDIA', 5],
    [`${START}m=audio 65536 RTP/AVP 0\r\n`, 'SDP_MEDIA', 5],
    [`${START}m=audio -1 RTP/AVP 0\r\n`, 'SDP_MEDIA', 5],
    [`${START}m=audio 5000/ RTP/AVP 0\r\n`, 'SDP_MEDIA', 5],
  ]
  for (const [text, code, line] of cases) {
    const problem = problemOf(text)
    assert.deepEqual([problem.problem, problem.line], [code, line], text)
  }
})

test('every size has a limit, and one more than it is told', () => {
  const most = START + 'a=x\r\n'.repeat(SDP_LINES_MAX - 4)
  assert.equal(parsed(most).lines.length, SDP_LINES_MAX - 3)
  assert.deepEqual([problemOf(`${most}a=x\r\n`).problem, problemOf(`${most}a=x\r\n`).line], ['SDP_LINES_MAX', 1501])
  const media = START + 'm=audio 5000 RTP/AVP 0\r\n'.repeat(SDP_MEDIA_MAX)
  assert.equal(parsed(media).media.length, SDP_MEDIA_MAX)
  assert.equal(problemOf(`${media}m=audio 5000 RTP/AVP 0\r\n`).problem, 'SDP_MEDIA_MAX')
  const formats = `${START}m=audio 5000 RTP/AVP${' 0'.repeat(SDP_FORMATS_MAX)}`
  assert.equal(parsed(formats).media[0]?.formats.length, SDP_FORMATS_MAX)
  assert.equal(problemOf(`${formats} 0`).problem, 'SDP_FORMATS_MAX')
  const line = `${START}a=${'x'.repeat(SDP_LINE_OCTETS_MAX - 2)}`
  assert.equal(parsed(line).lines.length, 2)
  assert.equal(problemOf(`${line}x`).problem, 'SDP_LINE_OCTETS_MAX')
  assert.equal(problemOf(START.padEnd(SDP_OCTETS_MAX + 1, 'a')).problem, 'SDP_OCTETS_MAX')
})

test('a description with a thousand lines is read in one pass', () => {
  const text = START + 'm=audio 5000 RTP/AVP 0\r\n'.repeat(1) + 'a=candidate:x\r\n'.repeat(1000)
  const description = parsed(text)
  const [media] = description.media
  assert.ok(media !== undefined)
  assert.equal(media.lines.length, 1000)
  assert.deepEqual(
    remoteMediaOf(description, media).codecs.map((codec) => codec.encoding),
    ['PCMU'],
  )
})

/** Lines of the grammar of RFC 8866 §9, in its order. */
const word = fc.string({ unit: fc.constantFrom(...'abzAZ019-+.:/\xe9'), minLength: 1, maxLength: 12 })
const value = fc.array(word, { minLength: 1, maxLength: 5 }).map((words) => words.join(' '))
const lineOfType = (types: string): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...types), value).map(([type, text]) => `${type}=${text}`)
const mediaLine = fc
  .tuple(
    fc.constantFrom('audio', 'video', 'image', 'application'),
    fc.integer({ min: 0, max: 65_535 }),
    fc.option(fc.integer({ min: 1, max: 9 })),
    fc.constantFrom('RTP/AVP', 'RTP/SAVP', 'UDP/TLS/RTP/SAVPF', 'udptl'),
    fc.array(fc.integer({ min: 0, max: 127 }), { minLength: 1, maxLength: 8 }),
  )
  .map(
    ([kind, port, count, protocol, formats]) =>
      `m=${kind} ${port}${count === null ? '' : `/${count}`} ${protocol} ${formats.join(' ')}`,
  )
const section = fc
  .tuple(mediaLine, fc.array(lineOfType('iabk'), { maxLength: 8 }))
  .map(([media, lines]) => [media, ...lines])
const legalSdp = fc
  .tuple(
    fc.bigInt({ min: 0n, max: 2n ** 64n }),
    value,
    fc.array(lineOfType('iuepbtrka'), { maxLength: 8 }),
    fc.array(section, { maxLength: 4 }),
  )
  .map(([id, name, lines, media]) =>
    ['v=0', `o=- ${id} ${id} IN IP4 192.0.2.1`, `s=${name}`, ...lines, ...media.flat()]
      .map((line) => `${line}\r\n`)
      .join(''),
  )

test('any well-formed description is written as it was read', () => {
  fc.assert(
    fc.property(legalSdp, (text) => {
      const description = parseSdp(text)
      assert.ok(!isSdpProblem(description))
      assert.equal(writeSdp(description), text)
    }),
    { numRuns: 300 },
  )
})

test('no text makes parsing or reading throw, and what parses is stable', () => {
  for (const text of faultyTexts(20_261, 4_000)) {
    const description = parseSdp(text)
    if (isSdpProblem(description)) continue
    for (const media of description.media) {
      remoteMediaOf(description, media)
      codecsOf(media)
    }
    const again = parseSdp(writeSdp(description))
    assert.deepEqual(again, description)
  }
})

test('a browser writes what we understand of it in full', () => {
  const description = parsed(CHROME)
  const [media] = description.media
  assert.ok(media !== undefined)
  const remote = remoteMediaOf(description, media)
  assert.deepEqual(remote.endpoint, { host: '198.51.100.7', port: 54_321, family: 4 })
  assert.deepEqual(remote.ice?.candidates[1]?.relatedAddress, '192.0.2.33')
  assert.deepEqual(remote.ice?.candidates[2]?.extensions, ['tcptype', 'active', 'generation', '0'])
  assert.deepEqual(remote.ice?.options, ['trickle'])
  assert.deepEqual(remote.ssrcs, [{ ssrc: 3_570_614_608, cname: '4TOk42mSjXCkVIa6' }])
  assert.equal(remote.setup, 'actpass')
})
