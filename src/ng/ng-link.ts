// How a client's messages get to a gateway and its replies back, by UDP or by a connection that is made again.

/** Told by a link. */
export interface NgLinkSink {
  /** A message of the gateway, latin1 carriage. */
  onLinkMessage(text: string): void
  /** Sending works (again): what waits for a reply may have been lost. */
  onLinkReady(): void
  /** Whether anything waits for a reply: a broken connection is made again then. */
  readonly waiting: boolean
}

export interface NgLink {
  /** Whether what is sent arrives as long as the connection stands. */
  readonly reliable: boolean
  /** Octets of the longest message. */
  readonly octetsMax: number
  /** Sends now, or not at all while it is not ready. */
  send(text: string): void
  /** A message sent at `sentMs` (Clock.now) was never answered: a connection that has been silent since is given up. */
  onSilence(sentMs: number): void
  close(): void
}
