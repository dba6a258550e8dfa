// Announcements put together from recorded words: digits, numbers and times as lists of prompt names.

/** A piece of an announcement as it is asked for. */
export type AnnouncementPart =
  /** A prompt of the pack by its name. */
  | { readonly say: 'prompt'; readonly name: string }
  /** Digits one by one; `*` and `#` are read, separators are short pauses. */
  | { readonly say: 'digits'; readonly digits: string }
  /** A number as it is counted, at most `NUMBER_MAX` in size, with up to three decimals. */
  | { readonly say: 'number'; readonly value: number }
  /** A time of day, or a length of time when `clock` is 'duration'. */
  | {
      readonly say: 'time'
      readonly hours: number
      readonly minutes: number
      readonly seconds: number
      readonly clock: '12' | '24' | 'duration'
    }
  | { readonly say: 'pause'; readonly ms: number }

/** A piece of an announcement as it is played. */
export type AnnouncementStep = { readonly prompt: string } | { readonly pauseMs: number }

/** The words of one language: which prompts there are, and in which order a number or a time takes them. */
export interface LanguagePack {
  /** RFC 5646 language tag. */
  readonly language: string
  /** The spoken text of each prompt by its name, which is also its file's name without `.wav`. */
  readonly prompts: Readonly<Record<string, string>>
  /** The prompt of a digit, `*` or `#`. */
  digit(digit: string): string
  /** A whole number, 0 to `NUMBER_MAX`. */
  whole(value: number): readonly string[]
  readonly minus: string
  readonly point: string
  timeOfDay(hours: number, minutes: number, seconds: number, clock: '12' | '24'): readonly string[]
  duration(hours: number, minutes: number, seconds: number): readonly string[]
}

export const NUMBER_MAX = 999_999_999
const PARTS_MAX = 64
const DIGITS_MAX = 64
const STEPS_MAX = 512
const GROUP_PAUSE_MS = 250
const PAUSE_MS_MAX = 60_000
const DECIMALS_MAX = 3

/** The steps of an announcement, or a sentence that says which part cannot be said. */
export function composeAnnouncement(
  parts: readonly AnnouncementPart[],
  pack: LanguagePack,
): readonly AnnouncementStep[] | string {
  if (parts.length > PARTS_MAX) return `An announcement has at most ${PARTS_MAX} parts.`
  const steps: AnnouncementStep[] = []
  for (const part of parts) {
    const said = stepsOf(part, pack)
    if (typeof said === 'string') return said
    steps.push(...said)
  }
  return steps.length > STEPS_MAX ? `An announcement has at most ${STEPS_MAX} words.` : steps
}

function stepsOf(part: AnnouncementPart, pack: LanguagePack): readonly AnnouncementStep[] | string {
  switch (part.say) {
    case 'prompt':
      return Object.hasOwn(pack.prompts, part.name)
        ? [{ prompt: part.name }]
        : `There is no prompt "${part.name}" in the pack "${pack.language}".`
    case 'pause':
      return part.ms >= 0 && part.ms <= PAUSE_MS_MAX
        ? [{ pauseMs: part.ms }]
        : `A pause has 0 to ${PAUSE_MS_MAX} milliseconds.`
    case 'digits':
      return digitSteps(part.digits, pack)
    case 'number':
      return numberSteps(part.value, pack)
    case 'time':
      return timeSteps(part.hours, part.minutes, part.seconds, part.clock, pack)
  }
}

function digitSteps(digits: string, pack: LanguagePack): readonly AnnouncementStep[] | string {
  if (digits.length > DIGITS_MAX) return `At most ${DIGITS_MAX} digits are read out.`
  const steps: AnnouncementStep[] = []
  for (const digit of digits) {
    if (/[0-9*#]/.test(digit)) steps.push({ prompt: pack.digit(digit) })
    else if (/[ .()/-]/.test(digit)) steps.push({ pauseMs: GROUP_PAUSE_MS })
    else if (digit !== '+') return `"${digit}" is not a digit.`
  }
  return steps
}

function numberSteps(value: number, pack: LanguagePack): readonly AnnouncementStep[] | string {
  if (!(Math.abs(value) <= NUMBER_MAX)) return `Numbers are read out up to ${NUMBER_MAX}.`
  const [whole, decimals] = Math.abs(value).toFixed(DECIMALS_MAX).replace(/0+$/, '').split('.')
  const names = [...pack.whole(Number(whole))]
  if (decimals !== undefined && decimals !== '') {
    names.push(pack.point, ...[...decimals].map((digit) => pack.digit(digit)))
  }
  // What rounds to nothing has no sign.
  if (value < 0 && names.some((name) => name !== pack.digit('0'))) names.unshift(pack.minus)
  return names.map((prompt) => ({ prompt }))
}

function timeSteps(
  hours: number,
  minutes: number,
  seconds: number,
  clock: '12' | '24' | 'duration',
  pack: LanguagePack,
): readonly AnnouncementStep[] | string {
  const hoursMax = clock === 'duration' ? NUMBER_MAX : 23
  const whole = [hours, minutes, seconds].every((value) => Number.isInteger(value) && value >= 0)
  if (!whole || hours > hoursMax || minutes > 59 || seconds > 59) {
    return `There is no time of ${hours} hours, ${minutes} minutes and ${seconds} seconds.`
  }
  const names =
    clock === 'duration' ? pack.duration(hours, minutes, seconds) : pack.timeOfDay(hours, minutes, seconds, clock)
  return names.map((prompt) => ({ prompt }))
}
