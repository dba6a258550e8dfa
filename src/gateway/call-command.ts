// What every command of a call begins with: its texts and numbers read, and its turn among the commands of the call.

import type { CallTable } from '#gateway/call-table.ts'
import type { MediaCall } from '#gateway/media-call.ts'
import { errorReply, type Reply, unknownCall } from '#gateway/ng-reply.ts'
import type { NgValue } from '#ng/ng-value.ts'

/** Octets of a call-id, tag, branch or label. */
export const TEXT_OCTETS_MAX = 512

/** Does `work` when the commands of that call before it are done; it calls `done` once, which replies. */
export function runOnCall(
  table: CallTable,
  callId: string,
  reply: Reply,
  work: (call: MediaCall, done: Reply) => void,
): void {
  const call = table.get(callId)
  if (call === null) {
    reply(unknownCall())
    return
  }
  const accepted = call.run(
    (finish) =>
      work(call, (answer) => {
        reply(answer)
        finish()
      }),
    () => reply(unknownCall()),
  )
  if (!accepted) reply(errorReply('MEDIA_COMMANDS_MAX', 'Too many commands of the call are at work.'))
}

/** The text of a key; '' when there is none. */
export function textOf(value: NgValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

/** The whole number of a key, as a number or a text; 0 when there is none. */
export function integerOf(value: NgValue | undefined): number {
  const number = Number(typeof value === 'string' || typeof value === 'number' ? value : 0)
  return Number.isSafeInteger(number) ? number : 0
}
