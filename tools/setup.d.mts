// Types of setup.mjs, which is plain JavaScript because it runs before anything is installed.

interface LockPackages {
  readonly packages: Readonly<Record<string, { version: string; dev?: boolean; optional?: boolean }>>
}

export declare function missingPackages(
  lock: LockPackages,
  installed: LockPackages | null,
  development: boolean,
  present?: (path: string) => boolean,
): string[]

export declare function setUp(development: boolean): void
