// The first call: two telephones register, one calls the other and hangs up, and the call leaves a record.

import { join } from 'node:path'
import { RunningCarillon } from '#examples/running-carillon.ts'
import { freePort, SippPhone } from '#examples/sipp-phone.ts'
import type { Cdr } from '#schema/cdr.ts'

const HOST = '127.0.0.1'
const DOMAIN = 'example.net'
/** As in carillon.yaml. */
const ALICE = { user: '1001', password: 'red-bicycle-41' }
const BOB = { user: '1002', password: 'blue-kettle-93' }

/** Runs the example; `print` takes what a person would watch. Gives the record of the call. */
export async function firstCall(print: (text: string) => void): Promise<Cdr> {
  const carillon = await RunningCarillon.start(join(import.meta.dirname, 'carillon.yaml'))
  const phones: SippPhone[] = []
  try {
    print(`Carillon listens on ${carillon.listening.join(', ')}`)
    const to = `${HOST}:${carillon.port('udp')}`
    const start = (options: ConstructorParameters<typeof SippPhone>[1]): SippPhone => {
      const phone = new SippPhone(carillon.folder, { ...options, keys: { domain: DOMAIN, ...options.keys } })
      phones.push(phone)
      return phone
    }

    const alicePort = await freePort(HOST)
    const bobPort = await freePort(HOST)
    for (const [who, port] of [[ALICE, alicePort] as const, [BOB, bobPort] as const]) {
      await start({ scenario: 'register', host: HOST, port, to, ...who, digestUri: DOMAIN }).finish()
      print(`${who.user} is registered`)
    }
    print(await carillon.ask('registrations'))

    const bob = await start({ scenario: 'answer', host: HOST, port: bobPort }).listens()
    const callee = BOB.user
    const digestUri = `${callee}@${DOMAIN}`
    const alice = start({ scenario: 'call', host: HOST, port: alicePort, to, ...ALICE, digestUri, keys: { callee } })
    await Promise.all([alice.finish(), bob.finish()])
    print(`${ALICE.user} has called ${BOB.user} and hung up\n`)

    const record = await carillon.stopRecord()
    print(await carillon.ask('cdrs'))
    print(`The record that says how the call ended:\n\n${JSON.stringify(record, null, 2)}`)
    return record
  } finally {
    await Promise.all(phones.map((phone) => phone.stop()))
    await carillon.stop()
  }
}

if (import.meta.main) {
  process.stdout.on('error', () => undefined) // A reader that goes away (| head) does not stop it: it cleans up at its end.
  await firstCall(console.log)
}
