// Descriptions as real devices write them, for the tests of this folder. Addresses are of RFC 5737 and RFC 3849.

const FINGERPRINT = '9F:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9:0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9'

function crlf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join('')
}

/** Linphone: SAVP and AVP variants of one device, several telephone-event rates. */
export const LINPHONE = crlf([
  'v=0',
  'o=alice 3723 1954 IN IP4 192.0.2.17',
  's=Talk',
  'c=IN IP4 192.0.2.17',
  't=0 0',
  'a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics',
  'a=record:off',
  'm=audio 7078 RTP/AVPF 96 97 98 0 8 18 101 99 100',
  'a=rtpmap:96 opus/48000/2',
  'a=fmtp:96 useinbandfec=1',
  'a=rtpmap:97 speex/16000',
  'a=fmtp:97 vbr=on',
  'a=rtpmap:98 speex/8000',
  'a=fmtp:98 vbr=on',
  'a=fmtp:18 annexb=yes',
  'a=rtpmap:101 telephone-event/48000',
  'a=rtpmap:99 telephone-event/16000',
  'a=rtpmap:100 telephone-event/8000',
  'a=rtcp:7079',
  'a=rtcp-fb:* trr-int 5000',
  'a=rtcp-fb:* ccm tmmbr',
])

/** Chrome: an audio call, BUNDLE, trickled candidates already in. */
export const CHROME = crlf([
  'v=0',
  'o=- 8423765212736543210 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'a=extmap-allow-mixed',
  'a=msid-semantic: WMS 7d9b5f2c-5c0c-4c3e-a7a5-0e2c8f1f7a11',
  'm=audio 54321 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
  'c=IN IP4 198.51.100.7',
  'a=rtcp:9 IN IP4 0.0.0.0',
  'a=candidate:2106107513 1 udp 2122260223 192.0.2.33 54321 typ host generation 0 network-id 1 network-cost 10',
  'a=candidate:842163049 1 udp 1686052607 198.51.100.7 54321 typ srflx raddr 192.0.2.33 rport 54321 generation 0 network-id 1',
  'a=candidate:3388485749 1 tcp 1518280447 192.0.2.33 9 typ host tcptype active generation 0',
  'a=ice-ufrag:EsAw',
  'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
  'a=ice-options:trickle',
  `a=fingerprint:sha-256 ${FINGERPRINT}`,
  'a=setup:actpass',
  'a=mid:0',
  'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
  'a=sendrecv',
  'a=msid:7d9b5f2c-5c0c-4c3e-a7a5-0e2c8f1f7a11 0a1b2c3d-0000-4000-8000-000000000001',
  'a=rtcp-mux',
  'a=rtcp-rsize',
  'a=rtpmap:111 opus/48000/2',
  'a=rtcp-fb:111 transport-cc',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'a=fmtp:63 111/111',
  'a=rtpmap:9 G722/8000',
  'a=rtpmap:0 PCMU/8000',
  'a=rtpmap:8 PCMA/8000',
  'a=rtpmap:13 CN/8000',
  'a=rtpmap:110 telephone-event/48000',
  'a=rtpmap:126 telephone-event/8000',
  'a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6',
  'a=ssrc:3570614608 msid:7d9b5f2c-5c0c-4c3e-a7a5-0e2c8f1f7a11 0a1b2c3d-0000-4000-8000-000000000001',
])

/** SIPp's built-in scenarios: as little as there can be. */
export const SIPP = crlf([
  'v=0',
  'o=user1 53655765 2353687637 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 6000 RTP/AVP 0',
  'a=rtpmap:0 PCMU/8000',
])

/** Asterisk (PJSIP) with SDES. */
export const ASTERISK = crlf([
  'v=0',
  'o=- 1729324452 1729324452 IN IP4 203.0.113.5',
  's=Asterisk',
  'c=IN IP4 203.0.113.5',
  't=0 0',
  'm=audio 14730 RTP/SAVP 8 0 3 101',
  'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz',
  'a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32',
  'a=rtpmap:8 PCMA/8000',
  'a=rtpmap:0 PCMU/8000',
  'a=rtpmap:3 GSM/8000',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-16',
  'a=ptime:20',
  'a=maxptime:150',
  'a=sendrecv',
])

/** A gateway that switches a call to fax: T.38 beside a rejected audio stream. */
export const FAX = crlf([
  'v=0',
  'o=CiscoSystemsSIP-GW-UserAgent 7182 9462 IN IP4 192.0.2.80',
  's=SIP Call',
  'c=IN IP4 192.0.2.80',
  't=0 0',
  'm=audio 0 RTP/AVP 0 8',
  'm=image 16902 udptl t38',
  'c=IN IP4 192.0.2.81',
  'a=T38FaxVersion:0',
  'a=T38MaxBitRate:14400',
  'a=T38FaxFillBitRemoval:0',
  'a=T38FaxTranscodingMMR:0',
  'a=T38FaxTranscodingJBIG:0',
  'a=T38FaxRateManagement:transferredTCF',
  'a=T38FaxMaxBuffer:200',
  'a=T38FaxMaxDatagram:320',
  'a=T38FaxUdpEC:t38UDPRedundancy',
])

/** A desk telephone over IPv6, audio and video, with bandwidths and hold. */
export const DESK = crlf([
  'v=0',
  'o=- 20035 20036 IN IP6 2001:db8::35',
  's=SDP seminar',
  'i=A telephone',
  'c=IN IP6 2001:db8::35',
  'b=AS:1064',
  't=0 0',
  'm=audio 11784 RTP/AVP 9 8 18 102 101',
  'b=TIAS:64000',
  'a=rtpmap:9 G722/8000',
  'a=rtpmap:8 PCMA/8000',
  'a=rtpmap:18 G729/8000',
  'a=fmtp:18 annexb=no',
  'a=rtpmap:102 iLBC/8000',
  'a=fmtp:102 mode=30',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-15',
  'a=ptime:20',
  'a=sendonly',
  'a=label:10',
  'm=video 11786 RTP/AVP 99 34',
  'a=rtpmap:99 H264/90000',
  'a=fmtp:99 profile-level-id=42801F;packetization-mode=1',
  'a=rtpmap:34 H263/90000',
  'a=inactive',
])

/** Multicast with everything that the grammar of RFC 8866 §9 has. */
export const SEMINAR = crlf([
  'v=0',
  'o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1',
  's=Call to John Smith',
  'i=SDP Offer #1',
  'u=http://www.jdoe.example.com/home.html',
  'e=Jane Doe <jane@jdoe.example.com>',
  'p=+1 617 555-6011',
  'c=IN IP4 233.252.0.1/127/3',
  'b=X-YZ:128',
  't=3724394400 3724398000',
  'r=604800 3600 0 90000',
  't=3724484400 3724488000',
  'z=3730928400 -1h 3749680800 0',
  'k=clear:password',
  'a=recvonly',
  'm=audio 49170/2 RTP/AVP 0',
  'm=audio 49180 RTP/AVP 0',
  'y=octets that nobody knows',
  'm=video 51372 RTP/AVP 99',
  'c=IN IP6 ff15::101/3',
  'a=rtpmap:99 h263-1998/90000',
  'a=X-unknown:\xe9\xff \t end',
])

export const CORPUS: Readonly<Record<string, string>> = {
  LINPHONE,
  CHROME,
  SIPP,
  ASTERISK,
  FAX,
  DESK,
  SEMINAR,
}

const PIECES = [
  ...Object.values(CORPUS).join('').split('\r\n'),
  'm=audio 0 RTP/AVP',
  'm=audio 9 RTP/AVP 0 0 0 127',
  'a=',
  'a=group:BUNDLE 0 0 1',
  'a=mid:0',
  'a=bundle-only',
  'c=IN IP4 0.0.0.0',
  'c=IN IP6 ::::',
  'a=crypto:',
  'a=rtpmap:999 x/0',
  'a=rtpmap:8 /',
]

/** Descriptions with random faults, the same for the same seed. */
export function* faultyTexts(seed: number, count: number): Generator<string> {
  let state = seed
  const next = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  const texts = Object.values(CORPUS)
  for (let round = 0; round < count; round += 1) {
    let text = texts[next(texts.length)] ?? ''
    for (let change = 0; change < 1 + next(4) && text !== ''; change += 1) {
      const at = next(text.length)
      const kind = next(5)
      if (kind === 0) text = text.slice(0, at) + String.fromCharCode(next(256)) + text.slice(at + 1)
      else if (kind === 1) text = text.slice(0, at) + text.slice(at + next(40))
      else if (kind === 4) text = text.slice(0, at) + text.slice(next(text.length))
      else {
        const end = text.indexOf('\r\n', at)
        text = `${text.slice(0, end < 0 ? text.length : end)}\r\n${PIECES[next(PIECES.length)]}${end < 0 ? '' : text.slice(end)}`
      }
    }
    yield text
  }
}
