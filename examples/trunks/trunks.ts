// A small interconnect: a carrier's call goes out by the longest prefix, and past a trunk that refuses to one that answers.

import { join } from 'node:path'
import { RunningCarillon } from '#examples/running-carillon.ts'
import { freePort, SippPhone } from '#examples/sipp-phone.ts'
import type { Cdr } from '#schema/cdr.ts'

const HOST = '127.0.0.1'
/** The carriers, as in carillon.yaml: each an address of its own on the loopback network. */
const WEST = '127.0.0.30'
const LONDON = '127.0.0.31'
const EAST = '127.0.0.32'
const CALLER = '+12125550100'
const CALLED = '+442079460000'

/** Runs the example; `print` takes what a person would watch. Gives the record of the call. */
export async function trunks(print: (text: string) => void): Promise<Cdr> {
  const [londonPort, eastPort] = await Promise.all([freePort(LONDON), freePort(EAST)])
  const carillon = await RunningCarillon.start(join(import.meta.dirname, 'carillon.yaml'), {
    [`${LONDON}:5060`]: `${LONDON}:${londonPort}`,
    [`${EAST}:5060`]: `${EAST}:${eastPort}`,
  })
  const agents: SippPhone[] = []
  try {
    print(`Carillon listens on ${carillon.listening.join(', ')}\n`)
    print(`carillon route explain --from ${CALLER} --to ${CALLED} --trunk-group west\n`)
    print(await carillon.ask('route', 'explain', '--from', CALLER, '--to', CALLED, '--trunk-group', 'west'))

    const agent = (scenario: string, host: string, port: number, to?: string): SippPhone => {
      const keys = { caller: CALLER, callee: CALLED }
      const started = new SippPhone(carillon.folder, {
        scenario,
        host,
        port,
        keys,
        ...(to === undefined ? {} : { to }),
      })
      agents.push(started)
      return started
    }
    const london = await agent('unavailable', LONDON, londonPort).listens()
    const east = await agent('answer', EAST, eastPort).listens()
    const west = agent('trunk-call', WEST, await freePort(WEST), `${HOST}:${carillon.port('udp')}`)
    await Promise.all([west.finish(), london.finish(), east.finish()])

    const record = await carillon.stopRecord()
    print('The call was made. london refused it with 503, east answered:\n')
    print(await carillon.ask('cdrs'))
    print(`routesTried of its record: ${JSON.stringify(record.routesTried, null, 2)}`)
    return record
  } finally {
    await Promise.all(agents.map((started) => started.stop()))
    await carillon.stop()
  }
}

if (import.meta.main) {
  process.stdout.on('error', () => undefined) // A reader that goes away (| head) does not stop it: it cleans up at its end.
  await trunks(console.log)
}
