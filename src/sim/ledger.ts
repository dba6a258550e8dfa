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
  /** Null where telephones have no media of their own. */
  media: MediaRecord | null
}

/** What one end of a call sent and heard. Instants are world milliseconds, −1 for never. */
export interface MediaRecord {
  /** Of the end, in every packet of it. */
  readonly number: number
  /** The end called a number that the switch answers itself. */
  readonly isEcho: boolean
  /** Of its address. */
  readonly family: 4 | 6
  sent: number
  firstSentMs: number
  lastSentMs: number
  /** When either side first asked for anything but both directions. */
  heldMs: number
  /** By whose packets they were and the host that they came from. */
  readonly heard: Map<string, Heard>
}

export interface Heard {
  readonly firstMs: number
  lastMs: number
  packets: number
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
