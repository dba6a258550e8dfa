// The rules that the source tree keeps beyond types and lint, as functions over syntax trees; tidy.test.ts holds the table and runs them.

import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import {
  type Identifier,
  type Node,
  NodeFlags,
  type SourceFile,
  SyntaxKind,
  type VariableStatement,
} from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import { API, type APIOptions } from 'typescript/unstable/sync'

/** Folder of `src` → folders that it may import besides itself. */
export type Direction = Readonly<Record<string, readonly string[]>>

export interface Problem {
  readonly file: string
  readonly line: number
  readonly rule: string
  readonly message: string
}

export interface ParsedFile {
  /** Relative to the root of the tree, with slashes. */
  readonly path: string
  readonly text: string
  readonly tree: SourceFile
}

/** What one file tells about the others: whom it imports (relative to the root), and the stable codes it uses. */
export interface FileFacts {
  readonly path: string
  readonly imports: readonly string[]
  readonly codes: readonly string[]
}

const AMBIENT_FOLDERS: readonly string[] = ['host', 'bin']
/** Globals that reach outside the process or depend on when the code runs. */
const AMBIENT_GLOBALS: ReadonlySet<string> = new Set([
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'console',
  'fetch',
  'WebSocket',
  'EventSource',
  'BroadcastChannel',
  'MessageChannel',
  'localStorage',
  'globalThis',
  'global',
])
const AMBIENT_MEMBERS: ReadonlySet<string> = new Set([
  'Date.now',
  'performance.now',
  'performance.timeOrigin',
  'Math.random',
  'crypto.randomBytes',
  'crypto.randomUUID',
  'crypto.randomInt',
  'crypto.getRandomValues',
  'crypto.subtle',
  'Atomics.wait',
  'Atomics.waitAsync',
])
/** Pure computation in Node's own modules; everything else of `node:` is an effect. */
const PURE_NODE_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  'node:crypto': [
    ...['createHash', 'createHmac', 'hash', 'timingSafeEqual', 'Hash', 'Hmac'],
    ...['createCipheriv', 'createDecipheriv', 'createSecretKey', 'Cipheriv', 'KeyObject'],
  ],
  'node:buffer': ['Buffer', 'constants', 'isUtf8', 'isAscii'],
}
/** Libraries without effects, usable in any folder of `src`. */
const PURE_LIBRARIES: readonly string[] = ['typebox', 'yaml']
const SLEEPS: ReadonlySet<string> = new Set(['setTimeout', 'setInterval'])
const CODE = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/

export const FILE_LINES_REPORTED = 500
export const FUNCTION_LINES_REPORTED = 70

/** Parses the files of the project that `tsconfig` (an absolute path) includes; `root` is cut off their names. */
export function parseProject(root: string, tsconfig: string, options: APIOptions = {}): ParsedFile[] {
  const api = new API({ cwd: root, ...options })
  try {
    const project = api.updateSnapshot({ openProjects: [tsconfig] }).getProjects()[0]
    if (project === undefined) throw new Error(`${tsconfig} holds no project`)
    const prefix = root.endsWith('/') ? root : `${root}/`
    const files: ParsedFile[] = []
    for (const name of project.program.getSourceFileNames()) {
      if (!name.startsWith(prefix) || name.includes('/node_modules/')) continue
      const tree = project.program.getSourceFile(name)
      if (tree !== undefined) files.push({ path: name.slice(prefix.length), text: tree.text, tree })
    }
    return files
  } finally {
    api.close()
  }
}

/** Tests, and the generators of their values (`message.arbitrary.ts`). */
export function isTest(path: string): boolean {
  return /\.(test|arbitrary)\.ts$/.test(path)
}

/** 'sip' for 'src/sip/via.ts'; null outside `src`. */
export function sourceFolder(path: string): string | null {
  const match = /^src\/([^/]+)\//.exec(path)
  return match?.[1] ?? null
}

/** Every breach of the rules in one file. */
export function tidyFile(file: ParsedFile, direction: Direction): Problem[] {
  return new FileCheck(file, direction).run()
}

class FileCheck {
  readonly #file: ParsedFile
  readonly #direction: Direction
  readonly #folder: string | null
  readonly #test: boolean
  readonly #declared: ReadonlySet<string>
  readonly #problems: Problem[] = []

  constructor(file: ParsedFile, direction: Direction) {
    this.#file = file
    this.#direction = direction
    this.#folder = sourceFolder(file.path)
    this.#test = isTest(file.path)
    this.#declared = declaredNames(file.tree)
  }

  run(): Problem[] {
    const { path, text, tree } = this.#file
    if (basename(path) === 'index.ts') this.#report(tree, 'barrel', 'index.ts hides where things are; name the noun')
    if (this.#folder !== null && !this.#test && !/^(#!.*\n)?\/\/ \S/.test(text)) {
      this.#report(tree, 'first-comment', 'a file starts with a one-sentence comment that says what it is')
    }
    if (this.#folder !== null && this.#direction[this.#folder] === undefined) {
      this.#report(tree, 'direction', `folder src/${this.#folder} is not in the table of tidy.test.ts`)
    }
    if (/^src\/[^/]+$/.test(path)) this.#report(tree, 'direction', 'a source file lives in a folder of src')
    for (const statement of tree.statements) this.#checkStatement(statement)
    visit(tree, (node) => this.#checkNode(node))
    return this.#problems
  }

  #report(node: Node, rule: string, message: string): void {
    this.#problems.push({ file: this.#file.path, line: lineOf(this.#file, node), rule, message })
  }

  /** Whether effects must come through ports here. */
  get #pure(): boolean {
    return this.#folder !== null && !AMBIENT_FOLDERS.includes(this.#folder) && !this.#test
  }

  #checkStatement(statement: Node): void {
    if (is.isExportAssignment(statement) || hasDefaultModifier(statement)) {
      this.#report(statement, 'default-export', 'export it by name')
    }
    if (is.isVariableStatement(statement)) this.#checkModuleState(statement)
    if (is.isExportDeclaration(statement) && statement.exportClause === undefined && this.#folder !== null) {
      this.#report(statement, 'barrel', 'export * hides where things are; import from the file that declares it')
    }
  }

  #checkModuleState(statement: VariableStatement): void {
    const flags = statement.declarationList.flags
    if ((flags & NodeFlags.BlockScoped) === 0 || (flags & NodeFlags.Let) !== 0) {
      if (!isAmbientDeclaration(statement) && !this.#isProgram()) {
        this.#report(statement, 'module-state', 'state at module level: give it an owner (a class) or make it const')
      }
    }
    if (this.#folder === null || this.#test) return
    for (const declaration of statement.declarationList.declarations) {
      const value = declaration.initializer
      if (value === undefined || !is.isNewExpression(value) || !is.isIdentifier(value.expression)) continue
      const empty = value.arguments === undefined || value.arguments.length === 0
      if (empty && /^(Weak)?(Map|Set)$/.test(value.expression.text)) {
        this.#report(statement, 'module-state', `an empty ${value.expression.text} at module level is mutable state`)
      }
    }
  }

  /** Outside the product, a file that exports nothing is a program or a test: its top level is its main function. */
  #isProgram(): boolean {
    if (this.#folder !== null && !this.#test) return false
    return !this.#file.tree.statements.some((statement) => isExport(statement))
  }

  #checkNode(node: Node): void {
    const specifier = importedName(node)
    if (specifier !== null) this.#checkImport(node, specifier)
    if (this.#pure) this.#checkEffect(node)
    if (this.#test && this.#folder !== null && this.#folder !== 'host') this.#checkSleep(node, specifier)
  }

  #checkImport(node: Node, specifier: string): void {
    if (specifier.startsWith('../') || (specifier.startsWith('./') && this.#folder !== null)) {
      this.#report(node, 'relative-import', `'${specifier}': write it as '#folder/file.ts'`)
    }
    if (this.#folder === null || this.#test) return
    if (specifier.startsWith('#')) {
      const target = specifier.slice(1).split('/')[0] ?? ''
      const allowed = this.#direction[this.#folder] ?? []
      if (target !== this.#folder && !allowed.includes(target)) {
        this.#report(node, 'direction', `src/${this.#folder} may not import '${specifier}'`)
      }
      if (specifier.endsWith('.test.ts')) this.#report(node, 'direction', `'${specifier}' is a test`)
      return
    }
    if (specifier.startsWith('.') || !this.#pure) return
    if (specifier.startsWith('node:')) this.#checkNodeImport(node, specifier)
    else if (!PURE_LIBRARIES.some((name) => specifier === name || specifier.startsWith(`${name}/`))) {
      this.#report(node, 'ambient', `'${specifier}' belongs into src/host or src/bin`)
    }
  }

  #checkNodeImport(node: Node, specifier: string): void {
    const pure = PURE_NODE_IMPORTS[specifier]
    const bindings = is.isImportDeclaration(node) ? node.importClause?.namedBindings : undefined
    const names = bindings !== undefined && is.isNamedImports(bindings) ? bindings.elements : null
    if (pure === undefined || names === null) {
      this.#report(node, 'ambient', `'${specifier}' is an effect: take it through a port`)
      return
    }
    for (const element of names) {
      const name = (element.propertyName ?? element.name).text
      if (!pure.includes(name)) this.#report(element, 'ambient', `${name} of '${specifier}' is an effect`)
    }
  }

  #checkEffect(node: Node): void {
    if (is.isNewExpression(node) && is.isIdentifier(node.expression) && node.expression.text === 'Date') {
      if (node.arguments === undefined || node.arguments.length === 0) {
        this.#report(node, 'ambient', 'new Date() reads the clock: take Clock.wallMs()')
      }
    } else if (is.isCallExpression(node) && is.isIdentifier(node.expression) && node.expression.text === 'Date') {
      this.#report(node, 'ambient', 'Date() reads the clock: take Clock.wallMs()')
    } else if (is.isPropertyAccessExpression(node) && is.isIdentifier(node.expression)) {
      const member = `${node.expression.text}.${node.name.text}`
      if (AMBIENT_MEMBERS.has(member) && !this.#declared.has(node.expression.text)) {
        this.#report(node, 'ambient', `${member} is an effect: take it through a port`)
      }
    } else if (is.isMetaProperty(node)) {
      this.#report(node, 'ambient', 'import.meta ties the code to its place')
    } else if (is.isIdentifier(node) && AMBIENT_GLOBALS.has(node.text) && this.#isGlobalReference(node)) {
      this.#report(node, 'ambient', `${node.text} is an effect: take it through a port`)
    }
  }

  #checkSleep(node: Node, specifier: string | null): void {
    if (specifier?.startsWith('node:timers') || specifier?.startsWith('timers')) {
      this.#report(node, 'real-sleep', 'tests in src run in virtual time')
    } else if (is.isIdentifier(node) && SLEEPS.has(node.text) && this.#isGlobalReference(node)) {
      this.#report(node, 'real-sleep', `${node.text}: tests in src run in virtual time`)
    }
  }

  #isGlobalReference(node: Identifier): boolean {
    if (this.#declared.has(node.text)) return false
    const parent = node.parent
    if (is.isPropertyAccessExpression(parent)) return parent.expression === node
    return !isNameOf(parent, node)
  }
}

/** Calls `each` for the node and everything below it. */
function visit(node: Node, each: (node: Node) => void): void {
  each(node)
  node.forEachChild((child) => visit(child, each))
}

function lineOf(file: ParsedFile, node: Node): number {
  const end = node.kind === SyntaxKind.SourceFile ? 0 : node.getStart(file.tree)
  let line = 1
  for (let at = file.text.indexOf('\n'); at !== -1 && at < end; at = file.text.indexOf('\n', at + 1)) line++
  return line
}

function hasDefaultModifier(node: Node): boolean {
  const modifiers = (node as { modifiers?: readonly Node[] }).modifiers
  return modifiers?.some((modifier) => modifier.kind === SyntaxKind.DefaultKeyword) ?? false
}

function isExport(node: Node): boolean {
  const modifiers = (node as { modifiers?: readonly Node[] }).modifiers
  const exported = modifiers?.some((modifier) => modifier.kind === SyntaxKind.ExportKeyword) ?? false
  return exported || is.isExportDeclaration(node) || is.isExportAssignment(node)
}

function isAmbientDeclaration(node: VariableStatement): boolean {
  return node.modifiers?.some((modifier) => modifier.kind === SyntaxKind.DeclareKeyword) ?? false
}

/** Whether `node` is a declared or a member's name in `parent`, not a value that is read. */
function isNameOf(parent: Node, node: Identifier): boolean {
  const named = parent as { name?: Node; propertyName?: Node }
  if (is.isShorthandPropertyAssignment(parent)) return false
  return named.name === node || named.propertyName === node || is.isQualifiedName(parent)
}

/** The names that the file binds itself: they hide globals. */
function declaredNames(tree: SourceFile): ReadonlySet<string> {
  const names = new Set<string>()
  visit(tree, (node) => {
    const binds =
      is.isVariableDeclaration(node) ||
      is.isParameterDeclaration(node) ||
      is.isBindingElement(node) ||
      is.isFunctionDeclaration(node) ||
      is.isClassDeclaration(node) ||
      is.isImportSpecifier(node) ||
      is.isNamespaceImport(node)
    if (binds && node.name !== undefined && is.isIdentifier(node.name)) names.add(node.name.text)
  })
  return names
}

/** The module that an import, an export-from or a dynamic import with a literal names; null for other nodes. */
function importedName(node: Node): string | null {
  if ((is.isImportDeclaration(node) || is.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
    return is.isStringLiteral(node.moduleSpecifier) ? node.moduleSpecifier.text : null
  }
  if (is.isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword)
    return literalText(node.arguments[0])
  if (is.isImportTypeNode(node) && is.isLiteralTypeNode(node.argument)) return literalText(node.argument.literal)
  return null
}

function literalText(node: Node | undefined): string | null {
  return node !== undefined && (is.isStringLiteral(node) || is.isNoSubstitutionTemplateLiteral(node)) ? node.text : null
}

/** Imports and codes of a file, for the checks over the whole tree. `maps` are the import maps of package.json. */
export function factsOf(file: ParsedFile, maps: Readonly<Record<string, string>>): FileFacts {
  const imports = new Set<string>()
  const codes = new Set<string>()
  visit(file.tree, (node) => {
    const specifier = importedName(node) ?? workerPath(node)
    if (specifier !== null) imports.add(resolveImport(file.path, specifier, maps))
    const code = codeOf(node)
    if (code !== null) codes.add(code)
  })
  return { path: file.path, imports: [...imports], codes: [...codes] }
}

/** `new URL('./x.ts', import.meta.url)` and import.meta.resolve('#x/y.ts') name files too. */
function workerPath(node: Node): string | null {
  const text = literalText(node)
  return text !== null && /^[#.][\w./-]*\.ts$/.test(text) ? text : null
}

function resolveImport(from: string, specifier: string, maps: Readonly<Record<string, string>>): string {
  if (specifier.startsWith('.')) return join(from, '..', specifier)
  for (const [pattern, target] of Object.entries(maps)) {
    const prefix = pattern.slice(0, -1)
    if (pattern.endsWith('*') && specifier.startsWith(prefix)) {
      return join(target.slice(0, -1), specifier.slice(prefix.length))
    }
  }
  return specifier
}

/** Words in capitals that are no codes of ours: variables of the environment, and Node's own error codes. */
const NO_CODES: ReadonlySet<string> = new Set(['NO_COLOR', 'CARILLON_DATA'])
/** Names of SRTP crypto suites (RFC 4568 §6.2, RFC 7714 §14.2). */
const CRYPTO_SUITE = /^(?:AES_CM|AEAD_AES)_/

/** Stable codes: every literal in capitals with an underscore is one. */
function codeOf(node: Node): string | null {
  const text = literalText(node)
  return text !== null && CODE.test(text) && !NO_CODES.has(text) && !CRYPTO_SUITE.test(text) && !text.startsWith('ERR_')
    ? text
    : null
}

/** Source files that no other file imports, except entry points (src/bin) and a file's own test. */
export function unusedFiles(facts: readonly FileFacts[]): string[] {
  const used = new Set<string>()
  for (const file of facts) {
    for (const target of file.imports) if (target !== file.path.replace(/\.test\.ts$/, '.ts')) used.add(target)
  }
  return facts
    .map((file) => file.path)
    .filter((path) => path.startsWith('src/') && !path.startsWith('src/bin/') && !isTest(path) && !used.has(path))
}

/** Functions and methods longer than `linesMax`, as "path:line name (n lines)". */
export function longFunctions(file: ParsedFile, linesMax: number): string[] {
  const found: string[] = []
  visit(file.tree, (node) => {
    const isFunction =
      is.isFunctionDeclaration(node) ||
      is.isMethodDeclaration(node) ||
      is.isArrowFunction(node) ||
      is.isFunctionExpression(node)
    if (!isFunction || node.body === undefined || isTest(file.path)) return
    const lines = file.text.slice(node.getStart(file.tree), node.end).split('\n').length
    const name = 'name' in node && node.name !== undefined ? (node.name as Node).getText(file.tree) : 'a function'
    if (lines > linesMax) found.push(`${file.path}:${lineOf(file, node)} ${name} (${lines} lines)`)
  })
  return found
}

/** Machine paths and secrets in any text file of the tree. */
export function tidyText(path: string, text: string): Problem[] {
  const problems: Problem[] = []
  for (const { rule, pattern, message } of TEXT_RULES) {
    for (const match of text.matchAll(pattern)) {
      const line = text.slice(0, match.index).split('\n').length
      problems.push({ file: path, line, rule, message: `${message}: ${match[0].slice(0, 24)}…` })
    }
  }
  return problems
}

const TEXT_RULES: readonly { rule: string; pattern: RegExp; message: string }[] = [
  {
    rule: 'machine-path',
    pattern: /(?<![\w.~-])\/(?:work|farm|root|home)\/[A-Za-z]/g,
    message: 'a path of one machine',
  },
  {
    rule: 'secret',
    pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\n|\s)+[A-Za-z0-9+/]{20}/g,
    message: 'a private key',
  },
  { rule: 'secret', pattern: /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, message: 'an access key' },
  { rule: 'secret', pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})/g, message: 'a GitHub token' },
  { rule: 'secret', pattern: /\bnpm_[A-Za-z0-9]{36}\b/g, message: 'an npm token' },
  { rule: 'secret', pattern: /\bsk-[A-Za-z0-9_-]{24,}/g, message: 'an API key' },
  { rule: 'secret', pattern: /\bxox[abprs]-[A-Za-z0-9-]{10,}/g, message: 'a chat token' },
]

/** The codes that docs/errors.md lists: those in backquotes in the first cell of each table row. */
export function documentedCodes(markdown: string): string[] {
  const cells = [...markdown.matchAll(/^\|([^|]*)\|/gm)].map((match) => match[1] ?? '')
  return cells.flatMap((cell) => [...cell.matchAll(/`([A-Z][A-Z0-9_]*)`/g)].map((match) => match[1] ?? ''))
}

/** package.json's import maps. */
export function importMaps(root: string): Record<string, string> {
  const manifest: { imports?: Record<string, string> } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return manifest.imports ?? {}
}
