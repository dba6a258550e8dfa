// What supervisor and switch, or media gateway, say to each other over the IPC channel of a forked process: plain data, one object a message.

/** A value read from the switch's counters. */
export interface CounterRow {
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  readonly value: number
}

/** What the supervisor can ask; each is answered once. */
export type Question = 'status' | 'calls' | 'registrations' | 'counters' | 'reload'

/** The supervisor to the switch. `limit` bounds the rows of an answer; it is 0 where it means nothing. */
export type Order =
  | { readonly type: 'ask'; readonly id: number; readonly question: Question; readonly limit: number }
  | { readonly type: 'drain' }
  /** Where the embedded media gateway takes commands now; null: it is gone. */
  | { readonly type: 'gateway'; readonly address: string | null }
  | { readonly type: 'stop' }

/** The switch to the supervisor. */
export type Report =
  | { readonly type: 'ready'; readonly listening: readonly string[] }
  | { readonly type: 'fatal'; readonly reason: string }
  | { readonly type: 'drained' }
  | { readonly type: 'answer'; readonly id: number; readonly body: unknown }

/** The answer to 'reload': the version now in force, or why the old configuration stays (one line a problem). */
export type ReloadAnswer =
  /** `embedsGateway`: the configuration has calls carried by the embedded media gateway. */
  | { readonly ok: true; readonly configVersion: string; readonly embedsGateway: boolean }
  | { readonly ok: false; readonly problems: readonly string[] }

/** A media gateway as the switch sees it. */
export interface GatewayStatus {
  readonly gateway: string
  /** unknown, up or down. */
  readonly state: string
  readonly draining: boolean
  readonly calls: number
}

/** The part of the switch's status that the supervisor itself reads. */
export interface StatusAnswer {
  readonly ready: boolean
  readonly reason: string
  readonly listening: readonly string[]
  readonly calls: number
  readonly registrations: number
  readonly draining: boolean
  readonly configVersion: string
  /** Of a switch only. */
  readonly gateways?: readonly GatewayStatus[]
}

/** Whether a message of the channel is a report; anything else is ignored. */
export function isReport(message: unknown): message is Report {
  if (typeof message !== 'object' || message === null) return false
  const { type } = message as { type?: unknown }
  return type === 'ready' || type === 'fatal' || type === 'drained' || type === 'answer'
}

/** Whether a message of the channel is an order. */
export function isOrder(message: unknown): message is Order {
  if (typeof message !== 'object' || message === null) return false
  const { type } = message as { type?: unknown }
  return type === 'ask' || type === 'drain' || type === 'stop' || type === 'gateway'
}
