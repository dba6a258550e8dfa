// Fax over UDPTL: the attributes of ITU-T T.38 Annex D §D.2.3.

import { attributeOf } from '#sdp/attributes.ts'
import type { MediaDescription } from '#sdp/session-description.ts'

/** What a side says of its T.38 end. */
export interface FaxParameters {
  /** T38FaxVersion; 0 when absent. */
  readonly version: number
  /** T38MaxBitRate in bits per second; null when absent, as are all numbers here. */
  readonly bitRateMax: number | null
  readonly fillBitRemoval: boolean
  readonly transcodingMmr: boolean
  readonly transcodingJbig: boolean
  /** T38FaxRateManagement: who makes the training check field. */
  readonly rateManagement: 'localTCF' | 'transferredTCF' | null
  /** T38FaxMaxBuffer and T38FaxMaxDatagram, in octets. */
  readonly bufferOctetsMax: number | null
  readonly datagramOctetsMax: number | null
  /** T38FaxUdpEC as written: t38UDPRedundancy, t38UDPFEC, t38UDPNoEC; '' when absent. */
  readonly errorCorrection: string
}

/** The T.38 attributes of an image stream over UDPTL; null for anything else. */
export function faxOf(media: MediaDescription): FaxParameters | null {
  if (media.kind !== 'image' || media.protocol.toLowerCase() !== 'udptl') return null
  const rate = attributeOf(media.lines, 'T38FaxRateManagement')
  return {
    version: numberOf(media, 'T38FaxVersion') ?? 0,
    bitRateMax: numberOf(media, 'T38MaxBitRate'),
    fillBitRemoval: flagOf(media, 'T38FaxFillBitRemoval'),
    transcodingMmr: flagOf(media, 'T38FaxTranscodingMMR'),
    transcodingJbig: flagOf(media, 'T38FaxTranscodingJBIG'),
    rateManagement: rate === 'localTCF' || rate === 'transferredTCF' ? rate : null,
    bufferOctetsMax: numberOf(media, 'T38FaxMaxBuffer'),
    datagramOctetsMax: numberOf(media, 'T38FaxMaxDatagram'),
    errorCorrection: attributeOf(media.lines, 'T38FaxUdpEC') ?? '',
  }
}

/** Present is true by the standard; many write ":0" for false. */
function flagOf(media: MediaDescription, name: string): boolean {
  const value = attributeOf(media.lines, name)
  return value !== null && value.trim() !== '0'
}

function numberOf(media: MediaDescription, name: string): number | null {
  const value = attributeOf(media.lines, name)?.trim()
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : null
}
