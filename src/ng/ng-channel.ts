// A connection that carries whole ng messages: what the client and the server see of TCP and of WebSocket.

import type { Connection, ConnectionSink } from '#core/net.ts'

/** Told what comes on a channel. After `onChannelClose` nothing more comes. */
export interface NgChannelSink {
  /** Messages can be sent now. */
  onChannelOpen(channel: NgChannel): void
  /** A whole message, in latin1 carriage. */
  onMessage(channel: NgChannel, text: string): void
  onChannelClose(channel: NgChannel, reason: string): void
}

export interface NgChannel extends ConnectionSink {
  /** Takes over a connection that was accepted. */
  accept(connection: Connection): void
  /** Sends a message; it is lost when the channel is not open or its far side does not read. */
  send(text: string): void
  /** Ends the connection; the sink is not told. */
  close(): void
}

/** Octets that wait for a far side that does not read, before it is given up. */
export const CHANNEL_QUEUED_OCTETS_MAX = 4 * 1_048_576
