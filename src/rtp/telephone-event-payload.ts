// Hot path. The payload of named telephone events (RFC 4733 §2.3), and the events that are DTMF digits (§3.2).

/** Octets of one event report. */
export const TELEPHONE_EVENT_OCTETS = 4

/** The longest duration that one report can tell, in timestamp units (§2.5.1.3). */
export const EVENT_DURATION_MAX = 0xffff

const DIGITS = '0123456789*#ABCD'

/** The digit of an event code, or '' when it is not a DTMF event. */
export function digitOfEvent(event: number): string {
  return event < DIGITS.length ? DIGITS.charAt(event) : ''
}

/** The event code of a digit (0–9, *, #, A–D, a–d), or −1. */
export function eventOfDigit(digit: string): number {
  return digit.length === 1 ? DIGITS.indexOf(digit.toUpperCase()) : -1
}

/** The event code at `offset`. */
export function eventCode(bytes: Uint8Array, offset: number): number {
  return bytes[offset] as number
}

/** The E bit: this is the end of the event. */
export function eventEnd(bytes: Uint8Array, offset: number): boolean {
  return ((bytes[offset + 1] as number) & 0x80) !== 0
}

/** The level in dBm0, −63…0; 0 may mean that it is not known (§2.5.2.2). */
export function eventLevelDbm0(bytes: Uint8Array, offset: number): number {
  const volume = (bytes[offset + 1] as number) & 0x3f
  return volume === 0 ? 0 : -volume
}

/** Duration so far, in timestamp units. */
export function eventDuration(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset + 2] as number) << 8) | (bytes[offset + 3] as number)
}

/** For a relay between clock rates. `units` is cut to what the field holds. */
export function setEventDuration(bytes: Uint8Array, offset: number, units: number): void {
  const duration = Math.min(EVENT_DURATION_MAX, Math.round(units))
  bytes[offset + 2] = duration >> 8
  bytes[offset + 3] = duration
}

/** Writes one report and gives its length. `levelDbm0` is brought into −63…0. */
export function writeTelephoneEvent(
  target: Uint8Array,
  offset: number,
  event: number,
  end: boolean,
  levelDbm0: number,
  duration: number,
): number {
  target[offset] = event
  target[offset + 1] = (end ? 0x80 : 0) | Math.min(63, Math.max(0, Math.round(-levelDbm0)))
  setEventDuration(target, offset, duration)
  return TELEPHONE_EVENT_OCTETS
}
