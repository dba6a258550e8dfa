// The tones of national networks (ITU-T E.180 and its list of national tones) as playback segments.

import type { Segment } from '#gateway/plane.ts'

/** What a tone says: E.180 §§ 2–8; `information` is the special information tone. */
export type ToneName = 'dial' | 'ringback' | 'busy' | 'congestion' | 'callWaiting' | 'information'

/** E.180 §10: −10 dBm0 ± 5 dB for the whole tone; two frequencies have 3 dB less each. */
const TONE_LEVEL_DBM0 = -10
/** E.180 §7: three frequencies in a row, 330 ms each, then a second of silence. */
const INFORMATION: readonly number[] = [950, 1400, 1800]
const INFORMATION_MS = 330
const INFORMATION_PAUSE_MS = 1000

/** The milliwatt of test lines: 1004 Hz at 0 dBm0, for ever. */
export const MILLIWATT: Segment = { kind: 'tone', frequencies: [1004], levelDbm0: 0, ms: 0 }

/**
 * By ISO 3166 code: hertz joined by `+`, then `:` and milliseconds on, off, on, off …; without `:` it is continuous. A tone that is modulated
 * (India 400 × 25, South Africa 400 × 33) is written as its carrier and side bands.
 */
const TABLE: Readonly<Record<string, Readonly<Record<Exclude<ToneName, 'information'>, string>>>> = {
  at: tones('420', '420:1000/5000', '420:400/400', '420:200/200', '420:40/1950'),
  au: tones('413+438', '413+438:400/200/400/2000', '425:375/375', '425:375/375', '425:200/200/200/4400'),
  be: tones('425', '425:1000/3000', '425:500/500', '425:167/167', '1400:175/175/175/3500'),
  br: tones('425', '425:1000/4000', '425:250/250', '425:250/250/750/250', '425:50/1000'),
  ch: tones('425', '425:1000/4000', '425:500/500', '425:200/200', '425:200/200/200/4000'),
  cn: tones('450', '450:1000/4000', '450:350/350', '450:700/700', '450:400/4000'),
  cz: tones('425:330/330/660/660', '425:1000/4000', '425:330/330', '425:165/165', '425:330/9000'),
  de: tones('425', '425:1000/4000', '425:480/480', '425:240/240', '425:200/200/200/5000'),
  dk: tones('425', '425:1000/4000', '425:500/500', '425:200/200', '425:200/600/200/3000'),
  es: tones('425', '425:1500/3000', '425:200/200', '425:200/200/200/200/200/600', '425:175/175/175/3500'),
  fi: tones('425', '425:1000/4000', '425:300/300', '425:200/200', '425:150/150/150/8000'),
  fr: tones('440', '440:1500/3500', '440:500/500', '440:250/250', '440:300/10000'),
  gb: tones('350+440', '400+450:400/200/400/2000', '400:375/375', '400:400/350/225/525', '400:100/4000'),
  in: tones('375+400+425', '375+400+425:400/200/400/2000', '400:750/750', '400:250/250', '400:200/100/200/7500'),
  it: tones('425:200/200/600/1000', '425:1000/4000', '425:500/500', '425:200/200', '425:400/100/250/100/150/14000'),
  jp: tones('400', '384+416:1000/2000', '400:500/500', '400:500/500', '400:500/8000'),
  mx: tones('425', '425:1000/4000', '425:250/250', '425:250/250', '425:200/600/200/10000'),
  nl: tones('425', '425:1000/4000', '425:500/500', '425:250/250', '425:500/9500'),
  no: tones('425', '425:1000/4000', '425:500/500', '425:200/200', '425:200/600/200/10000'),
  nz: tones(
    '400',
    '400+450:400/200/400/2000',
    '400:500/500',
    '400:250/250',
    '400:200/3000/200/3000/200/3000/200/10000',
  ),
  pl: tones('425', '425:1000/4000', '425:500/500', '425:500/500', '425:150/150/150/4000'),
  pt: tones('425', '425:1000/5000', '425:500/500', '425:200/200', '425:200/200/200/5000'),
  se: tones('425', '425:1000/5000', '425:250/250', '425:250/750', '425:200/500/200/9100'),
  us: tones('350+440', '440+480:2000/4000', '480+620:500/500', '480+620:250/250', '440:300/10000'),
  za: tones('367+400+433', '367+400+433:400/200/400/2000', '400:500/500', '400:250/250', '367+400+433:400/4000'),
}

/** The countries whose tones we have, as ISO 3166 codes in lower case. */
export const TONE_COUNTRIES: readonly string[] = Object.keys(TABLE)

/**
 * The segments of one round of a tone; played with `repeat: 0` it goes on until stopped. Null for a country that is not in
 * the table.
 */
export function countryTone(country: string, name: ToneName): readonly Segment[] | null {
  const code = country.toLowerCase()
  const row = Object.hasOwn(TABLE, code) ? TABLE[code] : undefined
  if (row === undefined) return null
  if (name === 'information') {
    const steps = INFORMATION.map((frequency) => tone([frequency], INFORMATION_MS))
    return [...steps, tone([], INFORMATION_PAUSE_MS)]
  }
  const [frequenciesText, cadence] = row[name].split(':')
  const frequencies = (frequenciesText as string).split('+').map(Number)
  if (cadence === undefined) return [tone(frequencies, 0)]
  return cadence.split('/').map((ms, i) => tone(i % 2 === 0 ? frequencies : [], Number(ms)))
}

function tone(frequencies: readonly number[], ms: number): Segment {
  const share = 10 * Math.log10(Math.max(1, frequencies.length))
  return { kind: 'tone', frequencies, levelDbm0: Math.round((TONE_LEVEL_DBM0 - share) * 10) / 10, ms }
}

function tones(
  dial: string,
  ringback: string,
  busy: string,
  congestion: string,
  callWaiting: string,
): Readonly<Record<Exclude<ToneName, 'information'>, string>> {
  return { dial, ringback, busy, congestion, callWaiting }
}
