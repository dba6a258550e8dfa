// Waits for what a baresip telephone hears.

import { Recording } from '#test/interop/audio-judge.ts'
import type { BaresipPhone } from '#test/interop/baresip-phone.ts'
import { until } from '#test/interop/carillon-process.ts'

export const HEARD_MS = 15_000
/** The share of the power in a second of audio that makes a tone. */
export const PURE = 0.8
/** Mean square of samples that are no silence. */
export const AUDIBLE = 10_000

/** Whether a second of audio is that tone. */
export const tone = (hertz: number) => (second: Recording) => second.power > AUDIBLE && second.share(hertz) > PURE

/** Waits until the last second that a telephone heard is what `wanted` says. */
export async function hears(phone: BaresipPhone, what: string, wanted: (second: Recording) => boolean): Promise<void> {
  let seen = 'nothing'
  await until(`${phone.user} hears ${what}`, HEARD_MS, () => {
    const file = phone.heard
    const second = file === null ? undefined : Recording.read(file)?.lastSecond()
    if (second === undefined) return Promise.resolve(false)
    const shares = [440, 700, 1_004].map((hertz) => `${hertz} Hz ${second.share(hertz).toFixed(2)}`)
    seen = `power ${second.power.toFixed(0)}, ${shares.join(', ')}`
    return Promise.resolve(wanted(second))
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; heard ${seen}`)
  })
}
