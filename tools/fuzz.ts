// The fuzzer: `npm run fuzz [-- --seconds N] [--seed N] [--input FILE]`. Random and mutated messages go through the
// parser, the checks, every decoder, the framer and the transport: no throw, no hang, no growth.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { HeaderId } from '#sip/header-id.ts'
import { legalMessage } from '#sip/message.arbitrary.ts'
import { fuzzRtcp, fuzzRtp } from '#test/fuzz/rtp-targets.ts'
import { fuzzDigest, fuzzFramer, fuzzMessage, fuzzTransport } from '#test/fuzz/targets.ts'

const SEEDS = new URL('../test/fuzz/', import.meta.url)
const INPUT_OCTETS_MAX = 65_535
/** Generated messages made from one seed of the generator before the next is drawn. */
const BATCH = 200
/** CPU time that one input may take, at best of three: far above what a sound decoder needs for 64 KiB. */
const INPUT_MS_MAX = 40
const SHRINK_MS_MAX = 10_000
const GROWTH_CHECK_INPUTS = 20_000
const GROWTH_OCTETS_MAX = 24 * 1024 * 1024

type Target = (text: string, random: () => number) => void
const TARGETS: Readonly<Record<string, Target>> = {
  message: fuzzMessage,
  framer: fuzzFramer,
  digest: fuzzDigest,
  transport: fuzzTransport,
  rtp: fuzzRtp,
  rtcp: fuzzRtcp,
}

/** A generator of [0, 1) from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const SPECIALS = [
  ...['\r\n', '\r', '\n', '\r\n ', '\r\n\r\n', '\0', '"', '\\', '\\"', '<', '>', ';', ',', ':', '@', '%', '%00', '%zz'],
  ...[
    '=',
    '?',
    '&',
    '[',
    ']',
    '[::1]',
    '[:::1]',
    '(',
    ')',
    '*',
    ' ',
    '\t',
    '/',
    'SIP/2.0',
    'sip:',
    'tel:',
    '\xc3',
    '\xff',
  ],
  ...[
    '-1',
    '0',
    '4294967296',
    '99999999999999999999',
    '65536',
    'l: 0\r\n',
    'v:',
    'Via: ',
    ';branch=',
    ';tag=',
    ';rport',
  ],
  ...Object.keys(HeaderId).map((name) => `\r\n${name}: `),
]

function mutate(text: string, corpus: readonly string[], random: () => number): string {
  const below = (n: number): number => Math.floor(random() * n)
  const special = (): string => SPECIALS[below(SPECIALS.length)] ?? ''
  for (let edits = 1 + below(6); edits > 0; edits -= 1) {
    const at = below(text.length + 1)
    const length = random() < 0.9 ? below(12) : below(text.length)
    const head = text.slice(0, at)
    const tail = text.slice(at + length)
    const other = corpus[below(corpus.length)] ?? ''
    const otherAt = below(other.length + 1)
    const kind = below(10)
    if (kind === 0) text = head + tail
    else if (kind === 1) text = head + String.fromCharCode(below(256)) + text.slice(at + 1)
    else if (kind <= 4) text = head + special() + text.slice(at)
    else if (kind === 5) text = head + special() + tail
    else if (kind === 6) text = text.slice(0, at + length) + text.slice(at)
    else if (kind === 7) text = head + other.slice(otherAt, otherAt + 1 + below(80)) + tail
    else if (kind === 8) text = head + other.slice(otherAt)
    else {
      // Long runs of one thing: what is not linear shows here.
      const piece = random() < 0.5 ? special() : text.slice(at, at + 1 + below(30))
      const times = below(random() < 0.2 ? Math.floor(INPUT_OCTETS_MAX / Math.max(1, piece.length)) : 60)
      text = head + piece.repeat(times) + text.slice(at)
    }
  }
  return text.slice(0, INPUT_OCTETS_MAX)
}

interface Failure {
  readonly target: string
  readonly what: string
}

/** Runs one input through all targets; what went wrong, or null. `seed` drives the choices of the targets. */
function run(text: string, seed: number): Failure | null {
  for (const [target, fuzz] of Object.entries(TARGETS)) {
    let bestMs = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < 3 && bestMs > INPUT_MS_MAX; attempt += 1) {
      const before = process.cpuUsage()
      try {
        fuzz(text, randomFrom(seed))
      } catch (error) {
        return { target, what: error instanceof Error ? (error.stack ?? error.message) : String(error) }
      }
      const used = process.cpuUsage(before)
      bestMs = Math.min(bestMs, (used.user + used.system) / 1000)
    }
    if (bestMs > INPUT_MS_MAX) return { target, what: `took ${bestMs.toFixed(0)} ms, three times` }
  }
  return null
}

/** Cuts away what the failure does not need. */
function shrunk(text: string, seed: number, target: string): string {
  const endMs = performance.now() + SHRINK_MS_MAX
  for (let step = text.length >> 1; step >= 1; step >>= 1) {
    for (let at = 0; at + step <= text.length && performance.now() < endMs; ) {
      const shorter = text.slice(0, at) + text.slice(at + step)
      if (run(shorter, seed)?.target === target) text = shorter
      else at += step
    }
  }
  return text
}

function report(failure: Failure, text: string, seed: number, runSeed: number): void {
  const folder = join(tmpdir(), 'carillon-fuzz')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${failure.target}-${runSeed}-${seed}.sip`)
  writeFileSync(file, Buffer.from(shrunk(text, seed, failure.target), 'latin1'))
  console.error(`FAILED in ${failure.target}: ${failure.what}`)
  console.error(`run seed ${runSeed}, input seed ${seed}, shrunk input in ${file}`)
  console.error(`again: npm run fuzz -- --input ${file} --seed ${seed}`)
}

function seedMessages(): string[] {
  const names = readdirSync(SEEDS).filter((name) => name.endsWith('.sip'))
  return names.sort().map((name) => readFileSync(new URL(name, SEEDS), 'latin1'))
}

function heapAfterCollection(collect: () => void): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

function fuzz(seconds: number, runSeed: number): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const random = randomFrom(runSeed)
  const own = seedMessages()
  const endMs = performance.now() + seconds * 1000
  let generated: string[] = []
  let inputs = 0
  let failures = 0
  let heapOctets = 0
  let growthMax = 0
  while (performance.now() < endMs && failures === 0) {
    if (inputs % (BATCH * 20) === 0) {
      const seed = Math.floor(random() * 2 ** 31)
      generated = fc.sample(legalMessage, { seed, numRuns: BATCH }).map((message) => message.text)
    }
    const corpus = random() < 0.4 ? own : generated
    const legal = corpus[Math.floor(random() * corpus.length)] ?? ''
    const text = random() < 0.02 ? legal : mutate(legal, random() < 0.5 ? own : generated, random)
    const seed = Math.floor(random() * 2 ** 31)
    const failure = run(text, seed)
    inputs += 1
    if (failure !== null) {
      failures += 1
      report(failure, text, seed, runSeed)
    }
    if (inputs % GROWTH_CHECK_INPUTS === 0) {
      const now = heapAfterCollection(collect)
      if (inputs === GROWTH_CHECK_INPUTS) heapOctets = now
      growthMax = Math.max(growthMax, now - heapOctets)
      if (now - heapOctets > GROWTH_OCTETS_MAX) {
        failures += 1
        console.error(`FAILED: the heap grew by ${now - heapOctets} octets over ${inputs} inputs (run seed ${runSeed})`)
      }
    }
  }
  console.log(`${inputs} inputs in ${seconds} s from seed ${runSeed}: ${failures} failures, growth ${growthMax} octets`)
  return failures
}

const { values } = parseArgs({
  options: { seconds: { type: 'string' }, seed: { type: 'string' }, input: { type: 'string' } },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
if (values.input === undefined) {
  process.exitCode = fuzz(Number(values.seconds ?? 60), seed) === 0 ? 0 : 1
} else {
  const failure = run(readFileSync(values.input, 'latin1'), seed)
  console.log(failure === null ? 'passed' : `FAILED in ${failure.target}: ${failure.what}`)
  process.exitCode = failure === null ? 0 : 1
}
