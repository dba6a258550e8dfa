// Which media port the switch gives its calls: gateways by configuration, the embedded one where it runs now, or end to end.

import { present } from '#core/assert.ts'
import type { Ports } from '#core/ports.ts'
import { type GatewayPlace, GatewayPool, type GatewayRow } from '#media/gateway-pool.ts'
import { REPLY_PATIENCE_MS } from '#media/media-gateway.ts'
import { END_TO_END_MEDIA, type MediaPort } from '#media/media-port.ts'
import { NgMedia, type NgMediaSettings } from '#media/ng-media.ts'
import type { NgAddress } from '#ng/ng-address.ts'
import { NgClient } from '#ng/ng-client.ts'
import type { Snapshot } from '#routing/snapshot.ts'
import { parseGatewayAddress } from '#schema/address.ts'

export class MediaPlan {
  readonly #pool: GatewayPool
  readonly #media: NgMedia
  #snapshot: Snapshot
  /** Address of the embedded gateway, or null while there is none. */
  #embedded: string | null

  constructor(ports: Ports, snapshot: Snapshot, embedded: string | null, nodeId: string) {
    this.#snapshot = snapshot
    this.#embedded = embedded
    const connect = (remote: NgAddress): NgClient => new NgClient(ports, { remote, giveUpAfterMs: REPLY_PATIENCE_MS })
    this.#pool = new GatewayPool(ports, `carillon-${nodeId}-`, connect)
    this.#media = new NgMedia(ports, this.#pool, settingsOf(snapshot))
  }

  start(): void {
    this.#pool.replace(this.#places())
  }

  /** What new calls get. */
  get port(): MediaPort {
    return this.#snapshot.settings.media.gateways === 'none' ? END_TO_END_MEDIA : this.#media
  }

  /** Gateways that are not configured any more keep their calls until they end. */
  replaceSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    this.#media.settings = settingsOf(snapshot)
    this.#pool.replace(this.#places())
  }

  /** The embedded gateway runs at that address now; what the one before it carried is moved. Null: there is none. */
  setEmbedded(address: string | null): void {
    const before = this.#embedded
    if (before === address) return
    this.#embedded = address
    if (before !== null) this.#pool.lose(before)
    this.#pool.replace(this.#places())
  }

  rows(): GatewayRow[] {
    return this.#pool.rows()
  }

  /** Media sessions that are not over. */
  get sessions(): number {
    return this.#media.count
  }

  stop(): void {
    this.#media.stop()
  }

  #places(): GatewayPlace[] {
    const { gateways } = this.#snapshot.settings.media
    if (gateways === 'none') return []
    if (gateways.length > 0) return gateways.map(placeOf)
    return this.#embedded === null ? [] : [placeOf(this.#embedded)]
  }
}

function placeOf(text: string): GatewayPlace {
  const { transport, host, port, family, weight } = present(parseGatewayAddress(text), `gateway ${text}`)
  const [name = text] = text.split(';')
  return { name, address: { transport, endpoint: { host, port, family }, path: '' }, weight }
}

function settingsOf(snapshot: Snapshot): NgMediaSettings {
  const { media } = snapshot.settings
  return {
    withoutGateway: media.withoutGateway,
    codecs: (trunkGroup) => {
      const group = trunkGroup === null ? null : snapshot.trunkGroup(trunkGroup)
      return group?.codecs ?? media.codecs
    },
  }
}
