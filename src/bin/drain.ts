// carillon drain.

import { API_OPTIONS, API_USAGE, askApi } from '#bin/api-client.ts'
import { type Arguments, type Command, CommandProblem } from '#bin/command.ts'
import type { SystemStatus } from '#bin/system-status.ts'

const POLL_MS = 1_000

/** Calls still up, or null once the system has ended. */
async function callsLeft(args: Arguments): Promise<number | null> {
  try {
    return (await askApi<SystemStatus>(args, 'GET', '/status')).calls
  } catch (error) {
    if (error instanceof CommandProblem) return null
    throw error
  }
}

export const command: Command = {
  summary: 'take no new calls, and stop when the last one has ended',
  usage: `[--no-wait] ${API_USAGE}
  --no-wait   come back at once`,
  options: { ...API_OPTIONS, 'no-wait': { type: 'boolean' } },
  words: [0, 0],
  async run(args) {
    await askApi(args, 'POST', '/drain')
    if (args.options['no-wait'] === true) return 0
    const asJson = args.options['json'] === true
    for (let told = -1; ; ) {
      const calls = await callsLeft(args)
      if (calls === null) break
      if (calls !== told)
        process.stdout.write(
          asJson ? `${JSON.stringify({ calls })}\n` : `${calls} ${calls === 1 ? 'call' : 'calls'} left\n`,
        )
      told = calls
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    process.stdout.write(asJson ? `${JSON.stringify({ stopped: true })}\n` : 'stopped\n')
    return 0
  },
}
