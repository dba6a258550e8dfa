// carillon cdrs.

import { API_OPTIONS, API_USAGE, askApi, printAnswer } from '#bin/api-client.ts'
import { type Command, numberOption } from '#bin/command.ts'
import { pickColumns, tableText, withParties } from '#bin/table.ts'

const ROWS_MAX = 1_000
const COLUMNS = [
  'sequence',
  'type',
  'callId',
  'caller',
  'called',
  'ingressTrunkGroup',
  'egressTrunkGroup',
  'invitedAt',
  'durationMs',
  'sipStatus',
  'releaseParty',
  'releaseCode',
]

export const command: Command = {
  summary: 'list call detail records, the newest first',
  usage: `[--limit N] [--before N] ${API_USAGE}
  --limit N   at most so many (default 20, at most ${ROWS_MAX})
  --before N  only records with a lower number`,
  options: { ...API_OPTIONS, limit: { type: 'string' }, before: { type: 'string' } },
  words: [0, 0],
  async run(args) {
    const limit = numberOption(args, 'limit', 20, 1, ROWS_MAX)
    const before = numberOption(args, 'before', Number.MAX_SAFE_INTEGER, 1, Number.MAX_SAFE_INTEGER)
    const path = `/cdrs?limit=${limit}&before=${before}`
    const answer = await askApi<{ items: Record<string, unknown>[] }>(args, 'GET', path)
    printAnswer(args, answer, ({ items }) =>
      tableText(pickColumns(items.map(withParties), COLUMNS), 'no call was recorded yet'),
    )
    return 0
  },
}
