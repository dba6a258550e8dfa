// Wall clock as NTP timestamps, and the round trip that reports tell (RFC 3550 §4, §6.4.1).

/** Seconds from 1900 to 1970. */
const NTP_EPOCH_SECONDS = 2_208_988_800
/** A longer round trip is a wrong report. */
const ROUND_TRIP_MS_MAX = 60_000

/** The whole seconds of an NTP timestamp (32 bits). */
export function ntpSeconds(wallMs: number): number {
  return (Math.floor(wallMs / 1000) + NTP_EPOCH_SECONDS) % 2 ** 32
}

/** The fraction of an NTP timestamp (32 bits). */
export function ntpFraction(wallMs: number): number {
  return Math.floor((wallMs / 1000 - Math.floor(wallMs / 1000)) * 2 ** 32)
}

/** The middle 32 bits of an NTP timestamp, in units of 1/65536 second (§4). */
export function ntpMiddle(seconds: number, fraction: number): number {
  return (((seconds & 0xffff) << 16) | (fraction >>> 16)) >>> 0
}

/** Milliseconds as a delay in units of 1/65536 second (DLSR of §6.4.1, DLRR of RFC 3611 §4.5). */
export function delayUnits(ms: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.round((ms * 65_536) / 1000)))
}

/**
 * The round trip in milliseconds: arrival − LSR − DLSR, all in units of 1/65536 second; −1 when the report does not tell, or
 * tells nonsense. A result slightly below 0 comes of clocks that tick differently, and is 0 (§6.4.1).
 */
export function roundTripMs(arrivalMiddle: number, lastReport: number, delay: number): number {
  if (lastReport === 0) return -1
  const ms = (((arrivalMiddle - lastReport - delay) | 0) * 1000) / 65_536
  if (ms < 0) return ms > -100 ? 0 : -1
  return ms > ROUND_TRIP_MS_MAX ? -1 : ms
}
