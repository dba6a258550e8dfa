// carillon sign-in.

import { join } from 'node:path'
import { ADDRESS_FILE, API_OPTIONS, API_USAGE, askApi, printAnswer } from '#bin/api-client.ts'
import { type Command, dataOption } from '#bin/command.ts'
import { readIfThere } from '#host/data-folder.ts'

export const command: Command = {
  summary: 'print a link that signs a browser in, once',
  usage: API_USAGE,
  options: API_OPTIONS,
  words: [0, 0],
  async run(args) {
    const { path } = await askApi<{ path: string }>(args, 'POST', '/sign-in-links')
    const address = readIfThere(join(dataOption(args), ADDRESS_FILE))?.trim() ?? ''
    printAnswer(args, { url: `${address}${path}` }, ({ url }) => `${url}\n`)
    return 0
  },
}
