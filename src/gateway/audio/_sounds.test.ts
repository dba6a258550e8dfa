// Sounds for tests: a prompt of the pack, speech made of formants, and how far one sound is from another.

import { readFileSync } from 'node:fs'
import { readWav, soundAtRate } from '#gateway/audio/wav-reader.ts'

const PROMPTS = new URL('../../../assets/prompts/en/', import.meta.url)

/** A prompt at `sampleRate`. */
export function promptSound(name: string, sampleRate: number): Int16Array {
  const sound = readWav(readFileSync(new URL(`${name}.wav`, PROMPTS)))
  if (typeof sound === 'string') throw new Error(sound)
  return soundAtRate(sound, sampleRate).samples
}

/** Numbers in [0, 1) that are the same each time. */
export function noiseSource(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Speech-like sound: a gliding voice through two moving formants, syllables, hiss between. */
export function speechLike(sampleRate: number, seconds: number, seed: number): Int16Array {
  const random = noiseSource(seed)
  const samples = new Int16Array(sampleRate * seconds)
  let phase = 0
  let [f1, f2, pitch, loud, hiss] = [500, 1500, 120, 1, 0]
  let [a1, b1, a2, b2] = [0, 0, 0, 0]
  for (let i = 0; i < samples.length; i += 1) {
    if (i % Math.round(sampleRate * 0.12) === 0) {
      f1 = 250 + 600 * random()
      f2 = 800 + 1700 * random()
      pitch = 85 + 160 * random()
      loud = random() < 0.15 ? 0 : 0.3 + 0.7 * random()
      hiss = random() < 0.25 ? 0.4 : 0.01
    }
    phase += pitch / sampleRate
    const pulse = phase >= 1 ? 1 : 0
    if (phase >= 1) phase -= 1
    const excitation = loud * (pulse * 8 + hiss * (random() - 0.5))
    const first = excitation + 2 * 0.97 * Math.cos((2 * Math.PI * f1) / sampleRate) * a1 - 0.97 ** 2 * b1
    b1 = a1
    a1 = first
    const second = first + 2 * 0.95 * Math.cos((2 * Math.PI * f2) / sampleRate) * a2 - 0.95 ** 2 * b2
    b2 = a2
    a2 = second
    samples[i] = Math.max(-32_768, Math.min(32_767, Math.round(second * 100)))
  }
  return samples
}

/** Signal to noise in decibels of `heard` against `said`, at the delay (up to `delayMax` samples) and the gain that fit best. */
export function signalToNoise(said: Int16Array, heard: Int16Array, delayMax: number): number {
  let best = Number.NEGATIVE_INFINITY
  for (let delay = 0; delay <= delayMax; delay += 1) best = Math.max(best, ratioAt(said, heard, delay, 0, said.length))
  return best
}

/** Segmental signal to noise: the mean over 16 ms pieces that are not silent, each held between −10 and 35 dB. */
export function segmentalSignalToNoise(
  said: Int16Array,
  heard: Int16Array,
  delayMax: number,
  sampleRate: number,
): number {
  const piece = Math.round(sampleRate * 0.016)
  let best = Number.NEGATIVE_INFINITY
  for (let delay = 0; delay <= delayMax; delay += 1) {
    let sum = 0
    let pieces = 0
    for (let start = 0; start + piece + delay <= heard.length && start + piece <= said.length; start += piece) {
      let energy = 0
      for (let i = start; i < start + piece; i += 1) energy += (said[i] as number) ** 2
      if (energy / piece < 100 ** 2) continue
      sum += Math.max(-10, Math.min(35, ratioAt(said, heard, delay, start, start + piece)))
      pieces += 1
    }
    if (pieces > 0) best = Math.max(best, sum / pieces)
  }
  return best
}

function ratioAt(said: Int16Array, heard: Int16Array, delay: number, from: number, to: number): number {
  let signal = 0
  let noise = 1e-9
  for (let i = from; i < to && i + delay < heard.length; i += 1) {
    const wanted = said[i] as number
    signal += wanted ** 2
    noise += (wanted - (heard[i + delay] as number)) ** 2
  }
  return 10 * Math.log10(signal / noise)
}
