// The port of recordings: files that grow at the pace of speech.

/** A file being written. Nothing throws: what the disk refuses ends the file, and the sink hears of it once. */
export interface MediaFile {
  /** Appends; the octets are taken before the call returns. */
  append(bytes: Uint8Array): void
  /** Replaces octets that were written before (the lengths in a header). */
  replace(position: number, bytes: Uint8Array): void
  close(): void
}

export interface MediaFileSink {
  /** Opening or writing failed; the file is closed. `reason` is a stable word such as ENOSPC. Never before the call has returned. */
  onFileError(reason: string): void
}

export interface MediaFiles {
  /** Creates the file, with the folders above it; an existing one is replaced. */
  create(path: string, sink: MediaFileSink): MediaFile
}
