// carillon calls.

import { API_OPTIONS, API_USAGE, askApi, printAnswer } from '#bin/api-client.ts'
import { type Command, numberOption } from '#bin/command.ts'
import { pickColumns, tableText, withParties } from '#bin/table.ts'

const ROWS_MAX = 1_000
const COLUMNS = [
  'callId',
  'state',
  'caller',
  'called',
  'ingressTrunkGroup',
  'egressTrunkGroup',
  'invitedAt',
  'answeredAt',
]

export const command: Command = {
  summary: 'list the calls that are up',
  usage: `[--limit N] ${API_USAGE}
  --limit N   at most so many (default 100, at most ${ROWS_MAX})`,
  options: { ...API_OPTIONS, limit: { type: 'string' } },
  words: [0, 0],
  async run(args) {
    const limit = numberOption(args, 'limit', 100, 1, ROWS_MAX)
    const answer = await askApi<{ items: Record<string, unknown>[] }>(args, 'GET', `/calls?limit=${limit}`)
    printAnswer(args, answer, ({ items }) => tableText(pickColumns(items.map(withParties), COLUMNS), 'no call is up'))
    return 0
  },
}
