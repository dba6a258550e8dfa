// What /api/v1/status answers, shared by the system that says it and the command that shows it.

import type { GatewayStatus } from '#host/supervisor-channel.ts'

export interface SystemStatus {
  readonly up: boolean
  /** Why it is not up; empty otherwise. */
  readonly reason: string
  readonly version: string
  readonly domain: string
  readonly listening: readonly string[]
  readonly calls: number
  readonly registrations: number
  readonly draining: boolean
  readonly configVersion: string
  /** Since the switch process started, in milliseconds; 0 while there is none. */
  readonly uptimeMs: number
  /** Times that the switch was started again after it died. */
  readonly restarts: number
  /** Media gateways as the switch sees them; none while media goes end to end. */
  readonly gateways: readonly GatewayStatus[]
  /** Times that the embedded media gateway was started again after it died. */
  readonly gatewayRestarts: number
}
