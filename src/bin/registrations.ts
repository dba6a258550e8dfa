// carillon registrations.

import { API_OPTIONS, API_USAGE, askApi, printAnswer } from '#bin/api-client.ts'
import { type Command, numberOption } from '#bin/command.ts'
import { pickColumns, tableText } from '#bin/table.ts'

const ROWS_MAX = 1_000
const COLUMNS = ['user', 'aor', 'contact', 'source', 'transport', 'expiresInS', 'expiresAt', 'userAgent']

export const command: Command = {
  summary: 'list the registered telephones',
  usage: `[--limit N] ${API_USAGE}
  --limit N   at most so many (default 100, at most ${ROWS_MAX})`,
  options: { ...API_OPTIONS, limit: { type: 'string' } },
  words: [0, 0],
  async run(args) {
    const limit = numberOption(args, 'limit', 100, 1, ROWS_MAX)
    const answer = await askApi<{ items: Record<string, unknown>[] }>(args, 'GET', `/registrations?limit=${limit}`)
    printAnswer(args, answer, ({ items }) => tableText(pickColumns(items, COLUMNS), 'no telephone is registered'))
    return 0
  },
}
