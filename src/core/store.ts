// The durable-store port: append-only journals of opaque lines. What is in the lines is the caller's affair.

/** Told about the durability of one journal. */
export interface JournalSink {
  /** Lines up to and including number `sequence` (counted from 1 since this journal was opened) are on stable storage. */
  onDurable(sequence: number): void
  /**
   * The storage failed; lines stay queued (bounded, oldest kept) and are tried again. `reason` is a stable word such as
   * ENOSPC. Followed by `onDurable` when it works again.
   */
  onStoreError(reason: string): void
}

/** An open journal. */
export interface Journal {
  /**
   * Appends one line (no line break in it) and gives its number, from 1. When the call returns the operating system has
   * the line, so it survives the death of this process; it survives the loss of power once `onDurable` has named it
   * (synced in groups). When the storage is failing the line is queued.
   */
  append(line: string): number
  /** Lines appended but not yet on stable storage. */
  readonly pending: number
  /** Octets in the file. */
  readonly octets: number
  /**
   * Compaction: replaces the whole content by `lines` atomically (written beside, synced, renamed). `lines` is drawn in
   * portions, so that the caller is never held for long; lines appended meanwhile are kept after them. One at a time;
   * `done` is called once with whether it succeeded (when not, the old content stands).
   */
  rewrite(lines: Iterator<string>, done: (succeeded: boolean) => void): void
  /** Syncs what is appended, calls `onDurable`, and closes. */
  close(): void
}

/** The storage port. Names are relative paths of [a-z0-9._/-], below the node's data folder. */
export interface Store {
  /**
   * Reads the journal `name` (empty when new) line by line into `each`, then opens it for appending. A torn last line
   * (no line break) is cut off and reported as `torn`. Synchronous: for start-up and for starting a new file. Throws
   * only when the file can be neither read nor made: the process cannot do its work then.
   */
  open(name: string, each: (line: string) => void, sink: JournalSink): { journal: Journal; torn: boolean }
  /** Names of the journals in `folder`, sorted. */
  list(folder: string): string[]
  /** Deletes a journal that is not open; one that does not exist is left alone. */
  remove(name: string): void
}
