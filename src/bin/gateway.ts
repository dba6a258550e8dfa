// carillon gateway.

import { type Command, CommandProblem, dataOption, MISUSED, numberOption, textOption } from '#bin/command.ts'
import { loadOrFail } from '#bin/config-source.ts'
import { GatewayProcess } from '#bin/gateway-process.ts'
import { DRAIN_SECONDS, DRAIN_SECONDS_MAX, levelFromText } from '#bin/switch.ts'
import { dataFolder } from '#host/data-folder.ts'
import { type NgAddress, parseNgAddress } from '#ng/ng-address.ts'
import { parseHost, parsePortRange } from '#schema/address.ts'

const PORTS = '20000-29999'

/** Addresses where commands are taken, checked. */
function controlAddresses(text: string): NgAddress[] {
  return text.split(',').map((one) => {
    const address = parseNgAddress(one.trim())
    if (typeof address === 'string') throw new CommandProblem(`--control: ${address}`, MISUSED)
    return address
  })
}

export const command: Command = {
  summary: 'run a media gateway alone: media by the ng protocol',
  usage: `[--control LIST] [--allow LIST] [--listen ADDRESS] [--advertise HOST] [--ports FIRST-LAST] [--config FILE] [--data DIR] [--log-level LEVEL] [--drain-seconds N]
  --control LIST      where commands are taken (default udp:127.0.0.1:2223); udp, tcp or ws, with commas between
  --allow LIST        hosts and prefixes that may command (default this machine), with commas between
  --listen ADDRESS    numeric address for media (default that of the configuration, else 0.0.0.0)
  --advertise HOST    public address that is written into session descriptions
  --ports FIRST-LAST  UDP ports for media (default that of the configuration, else ${PORTS})
  --config FILE       configuration whose section media is taken; without it the options alone
  --data DIR          data folder, for recordings (default ./data)
  --log-level LEVEL   debug, info, warn or error
  --drain-seconds N   how long calls may go on after SIGTERM (default ${DRAIN_SECONDS})`,
  options: {
    control: { type: 'string' },
    allow: { type: 'string' },
    listen: { type: 'string' },
    advertise: { type: 'string' },
    ports: { type: 'string' },
    config: { type: 'string' },
    data: { type: 'string' },
    'log-level': { type: 'string' },
    'drain-seconds': { type: 'string' },
    restarted: { type: 'boolean' },
  },
  words: [0, 0],
  async run(args) {
    const file = textOption(args, 'config', '')
    const media = file === '' ? null : loadOrFail(file).config.media
    const listen = textOption(args, 'listen', media?.listen ?? '0.0.0.0')
    const ports = parsePortRange(textOption(args, 'ports', media?.ports ?? PORTS))
    const allow = textOption(args, 'allow', '')
    const advertise = textOption(args, 'advertise', media?.advertise ?? '')
    if (ports === null) throw new CommandProblem('--ports wants FIRST-LAST, such as 20000-29999', MISUSED)
    const host = parseHost(listen)
    if (host === null || host.numeric === 0) throw new CommandProblem('--listen wants a numeric address', MISUSED)
    const running = new GatewayProcess({
      control: controlAddresses(textOption(args, 'control', 'udp:127.0.0.1:2223')),
      sources: allow === '' ? null : allow.split(',').map((one) => one.trim()),
      listen: { host: host.text, family: host.numeric },
      advertise: advertise === '' ? null : advertise,
      ports,
      dataFolder: dataFolder(dataOption(args)),
      logLevel: levelFromText(textOption(args, 'log-level', 'info')),
      drainMaxMs: numberOption(args, 'drain-seconds', DRAIN_SECONDS, 0, DRAIN_SECONDS_MAX) * 1_000,
    })
    await running.start()
    return Number(process.exitCode ?? 0)
  },
}
