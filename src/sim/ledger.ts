// What the simulated agents did and saw, kept outside of their processes for the checkers.

/** One end of a call, as the agent there has it. Instants are world milliseconds, −1 for never. */
export interface EndRecord {
  readonly agent: string
  readonly role: 'caller' | 'callee'
  /** The same at both ends: it travels in the session name of the descriptions. '' when the callee never learned it. */
  key: string
  readonly callId: string
  readonly startedMs: number
  answeredMs: number
  endedMs: number
  /** Why it ended, in a word. '' while it is up. */
  how: string
  /** Which side hung up, when one did. */
  hungUp: 'local' | 'remote' | ''
  /** Final status of the INVITE. */
  status: number
  cancelled: boolean
}

/** One INVITE client transaction of an agent. */
export interface InviteRecord {
  readonly agent: string
  readonly callId: string
  readonly branch: string
  readonly sentMs: number
  /** Distinct final responses, as "status/tag". */
  readonly finals: string[]
  /** It ended without one: timer B, a broken connection, or impatience after CANCEL. */
  gaveUp: boolean
  /** The agent's process died. */
  crashed: boolean
}

export class Ledger {
  readonly ends: EndRecord[] = []
  readonly invites: InviteRecord[] = []
  /** Responses that match nothing the agent has sent. */
  readonly strays: string[] = []
  messages = 0
}
