// One run of the packet load, as a process on the load's core: makes its calls, sends, and writes what came of it as JSON.

import { NgCalls } from '#bench/ng-calls.ts'
import { type PacketFacts, PacketLoad } from '#bench/packet-load.ts'
import { readTree } from '#bench/process-tree.ts'
import { speechOf } from '#bench/speech.ts'

/** What is loaded, and how. */
export interface MediaRun {
  readonly ngPort: number
  /** Root of the process tree whose CPU time is read. */
  readonly pid: number
  readonly calls: number
  /** What the second party speaks; the first speaks PCMU. */
  readonly encoding: 'PCMU' | 'OPUS' | 'G729'
  /** Without pace: as much as the target takes. */
  readonly flood: boolean
  readonly warmUpSeconds: number
  readonly seconds: number
}

export interface MediaRunFacts extends PacketFacts {
  /** CPU time of the target in the run. */
  readonly cpuMicros: number
}

const FIRST_HOST = '127.0.0.4'
const SECOND_HOST = '127.0.0.5'
const FIRST_PORT = 10_000

const FORMATS = {
  PCMU: { formats: '0', attributes: ['a=rtpmap:0 PCMU/8000'], transcode: null },
  OPUS: { formats: '96', attributes: ['a=rtpmap:96 opus/48000/2'], transcode: 'opus' },
  G729: { formats: '18', attributes: ['a=rtpmap:18 G729/8000', 'a=fmtp:18 annexb=no'], transcode: 'G729' },
} as const

const run = JSON.parse(process.argv[2] ?? '{}') as MediaRun
const { calls, encoding } = run
const ports = PacketLoad.ports(2 * calls, FIRST_PORT)
const side = (
  first: number,
  format: keyof typeof FORMATS,
): { ports: number[]; formats: string; attributes: readonly string[] } => ({
  ...FORMATS[format],
  ports: Array.from({ length: calls }, (_, index) => ports[2 * index + first] ?? 0),
})
const ng = await NgCalls.open(run.ngPort)
const prefix = `${process.pid}`
const first = { host: FIRST_HOST, ...side(0, 'PCMU') }
const second = { host: SECOND_HOST, ...side(1, encoding) }
const gateway = await ng.make(prefix, first, second, FORMATS[encoding].transcode)
const speeches = [await speechOf('PCMU'), await speechOf(encoding)]
const load = new PacketLoad(
  gateway.map((port, index) => ({
    host: index % 2 === 0 ? FIRST_HOST : SECOND_HOST,
    to: { host: '127.0.0.1', port },
    speech: speeches[index % 2] as (typeof speeches)[0],
  })),
  ports,
  encoding === 'PCMU',
  (_host, open) => open(),
)
load.paced(run.warmUpSeconds)
const before = readTree(run.pid).cpuMicros
const facts = run.flood ? load.flood(run.seconds) : load.paced(run.seconds)
const cpuMicros = readTree(run.pid).cpuMicros - before
load.close()
await ng.end(prefix, calls)
ng.close()
process.stdout.write(JSON.stringify({ ...facts, cpuMicros } satisfies MediaRunFacts))
