// Whatever DNS answers, what comes out may be sent to: properties of RFC 3263 §4.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DnsRecord } from '#core/net.ts'
import { FakeRandom } from '#sip/_fake-ports.ts'
import { isUnicast, parseIp } from '#sip/ip-address.ts'
import { TARGETS_MAX, targetOrder } from '#sip/target-order.ts'
import { parseUri } from '#sip/uri.ts'

const NAME = fc.oneof(
  fc.constantFrom(
    'a.example.com',
    'b.example.com',
    'example.com',
    '_sip._udp.example.com',
    '_sips._tcp.example.com',
    '.',
    '',
  ),
  fc.string({ maxLength: 12 }),
  fc.ipV4(),
)
const RECORD: fc.Arbitrary<DnsRecord> = fc.oneof(
  fc.record({
    type: fc.constant('A' as const),
    address: fc.oneof(fc.ipV4(), fc.string({ maxLength: 9 })),
    ttlS: fc.nat(),
  }),
  fc.record({
    type: fc.constant('AAAA' as const),
    address: fc.oneof(fc.ipV6(), fc.string({ maxLength: 9 })),
    ttlS: fc.nat(),
  }),
  fc.record({
    type: fc.constant('SRV' as const),
    priority: fc.nat(65_535),
    weight: fc.nat(65_535),
    port: fc.nat(65_535),
    target: NAME,
    ttlS: fc.nat(),
  }),
  fc.record({
    type: fc.constant('NAPTR' as const),
    order: fc.nat(3),
    preference: fc.nat(3),
    flags: fc.constantFrom('s', 'S', 'a', 'u', ''),
    service: fc.constantFrom('SIP+D2U', 'sip+d2t', 'SIPS+D2T', 'SIP+D2S', 'E2U+sip'),
    regexp: fc.constantFrom('', '!^.*$!sip:x@example.com!'),
    replacement: NAME,
    ttlS: fc.nat(),
  }),
)
const URI = fc.constantFrom(
  'sip:example.com',
  'sips:a@example.com',
  'sip:a@example.com;transport=tcp',
  'sip:a.example.com:5070',
  'sips:a.example.com:5070',
  'sip:a@example.com;maddr=b.example.com',
)

test('every hop is a unicast address of a family and transport that we have, once, and sips stays on TLS', () => {
  fc.assert(
    fc.property(URI, fc.array(RECORD, { maxLength: 60 }), fc.nat(), (text, records, seed) => {
      const uri = parseUri(text)
      assert.ok(uri)
      const abilities = { transports: ['udp', 'tcp', 'tls'], families: [6, 4] } as const
      let asked = 0
      const order = targetOrder(
        uri,
        abilities,
        (_name, type) => {
          asked += 1
          return records.filter((record) => record.type === type)
        },
        new FakeRandom(seed),
      )
      assert.ok(order !== null)
      assert.ok(asked <= 64)
      if (typeof order === 'string') {
        assert.match(order, /^LOCATE_/)
        return
      }
      assert.ok(order.length > 0 && order.length <= TARGETS_MAX)
      const seen = new Set<string>()
      for (const { transport, endpoint, serverName } of order) {
        const address = parseIp(endpoint.host)
        assert.ok(address !== null && isUnicast(address))
        assert.deepEqual({ host: endpoint.host, family: endpoint.family }, address)
        assert.ok(endpoint.port >= 1 && endpoint.port <= 65_535)
        if (uri.scheme === 'sips') assert.equal(transport, 'tls')
        assert.equal(serverName, transport === 'tls' ? uri.host : null)
        seen.add(`${transport} ${endpoint.host} ${endpoint.port}`)
      }
      assert.equal(seen.size, order.length)
    }),
    { numRuns: 500 },
  )
})
