// carillon reload.

import { API_OPTIONS, API_USAGE, askApi, printAnswer } from '#bin/api-client.ts'
import { type Command, CommandProblem } from '#bin/command.ts'

export const command: Command = {
  summary: 'read the configuration file again; the whole of it is taken, or nothing',
  usage: API_USAGE,
  options: API_OPTIONS,
  words: [0, 0],
  async run(args) {
    const answer = await askApi<{ configVersion: string }>(args, 'POST', '/reload').catch((error: unknown) => {
      if (!(error instanceof CommandProblem) || !error.message.endsWith('[CONFIG_REFUSED]')) throw error
      throw new CommandProblem(`the configuration stays as it was, for the file has problems:\n${error.message}`)
    })
    printAnswer(args, answer, ({ configVersion }) => `configuration ${configVersion} is in force\n`)
    return 0
  },
}
