// The durable-store port: append-only journals of opaque lines, with group commit. What is in the lines is the caller's affair.

/** Called when every line appended before the matching `append` call is on stable storage. */
export interface JournalSink {
  /** Lines up to and including number `sequence` (counted from 1 for each opened journal) are durable. */
  onDurable(sequence: number): void
  /** The storage failed; lines stay queued (bounded) and are tried again. `reason` is a stable word such as ENOSPC. */
  onStoreError(reason: string): void
}

/** An open journal. */
export interface Journal {
  /** Queues one line (without line break; must not contain one) and gives its sequence number. Never blocks. */
  append(line: string): number
  /** Number of lines queued but not yet durable. */
  readonly pending: number
  /**
   * Replaces the whole content by `lines` atomically (written beside, fsynced, renamed): compaction.
   * Lines appended meanwhile are kept after them. One at a time.
   */
  rewrite(lines: Iterable<string>): void
  /** Makes what is queued durable and closes; `onDurable` is called first. */
  close(): void
}

/** The storage port. */
export interface Store {
  /**
   * Reads the journal `name` line by line into `each` (a torn or corrupt last line is dropped and reported as
   * `torn`), then opens it for appending. Synchronous: used at start-up only.
   */
  open(name: string, each: (line: string) => void, sink: JournalSink): { journal: Journal; torn: boolean }
}
