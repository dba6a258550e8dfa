// What of a call's media the next process of the switch goes on with.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { present } from '#core/assert.ts'
import { GatewayPool } from '#media/gateway-pool.ts'
import { type GatewayLink, PING_INTERVAL_MS, PINGS_LOST_MAX } from '#media/media-gateway.ts'
import { NgMedia } from '#media/ng-media.ts'
import type { NgReplySink } from '#ng/ng-client.ts'
import type { NgDictionary } from '#ng/ng-value.ts'
import { fakePorts } from '#sip/_fake-ports.ts'

const USER = { onMediaTimeout: () => {}, onGatewayLost: () => {} }
const OFFER = { side: 'caller', branch: 0, role: 'offer', body: 'v=0', source: null, towards: null } as const

/** A switch with one gateway, which answers everything while it lives. */
class Rig {
  lives = true
  readonly ports = fakePorts()
  readonly media: NgMedia
  readonly #waiting: NgReplySink[] = []

  constructor() {
    const link: GatewayLink = {
      request: (_command: NgDictionary, sink: NgReplySink) => void this.#waiting.push(sink),
      close: () => {},
    }
    const pool = new GatewayPool(this.ports, 'carillon-test-', () => link)
    const endpoint = { host: '192.0.2.20', port: 2223, family: 4 } as const
    pool.replace([{ name: 'one', weight: 1, address: { transport: 'udp', endpoint, path: '' } }])
    const codecs = (): { allow: string[]; transcode: string[] } => ({ allow: [], transcode: [] })
    this.media = new NgMedia(this.ports, pool, { withoutGateway: 'refuse', codecs })
    this.flush()
  }

  flush(): void {
    for (const sink of this.#waiting.splice(0)) {
      if (this.lives) sink.onReply({ result: 'ok', sdp: 'v=0' })
      else sink.onNoReply('timeout')
    }
  }

  die(): void {
    this.lives = false
    for (let i = 0; i < PINGS_LOST_MAX; i += 1) {
      this.ports.clock.pass(PING_INTERVAL_MS)
      this.flush()
    }
  }
}

test('a call whose gateway is gone is kept as one with media on a gateway, and never goes end to end in the next process', () => {
  const rig = new Rig()
  const session = rig.media.open('call', USER)
  session.pass(
    OFFER,
    () => {},
    () => assert.fail('refused'),
  )
  rig.flush()
  assert.equal(session.image()?.gateway, 'one')
  rig.die()
  const image = present(session.image(), 'an image')
  assert.equal(image.gateway, '')
  const next = new Rig()
  const resumed = next.media.resume('call', image, USER)
  const failures: string[] = []
  resumed.pass(
    OFFER,
    () => assert.fail('passed end to end'),
    (failure) => failures.push(failure),
  )
  assert.deepEqual(failures, ['MEDIA_GATEWAY_SILENT'])
  assert.ok(resumed.move())
})
