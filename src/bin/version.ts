// carillon version.

import type { Command } from '#bin/command.ts'
import { VERSION } from '#bin/product.ts'

export const command: Command = {
  summary: 'print the version',
  usage: '[--json]',
  options: { json: { type: 'boolean' } },
  words: [0, 0],
  async run(args) {
    const asJson = args.options['json'] === true
    process.stdout.write(asJson ? `${JSON.stringify({ version: VERSION, node: process.version })}\n` : `${VERSION}\n`)
    return 0
  },
}
