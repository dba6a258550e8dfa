// The English prompts: their texts, and how English counts and tells the time.

import type { LanguagePack } from '#gateway/audio/announcement.ts'

const NUMBERS: readonly string[] = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen'
).split(' ')
const TENS: readonly string[] = ['twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']

const PROMPTS: Readonly<Record<string, string>> = {
  ...Object.fromEntries([...NUMBERS, ...TENS].map((word) => [word, word])),
  hundred: 'hundred',
  thousand: 'thousand',
  million: 'million',
  and: 'and',
  minus: 'minus',
  point: 'point',
  oh: 'oh',
  star: 'star',
  pound: 'pound',
  'o-clock': "o'clock",
  hour: 'hour',
  hours: 'hours',
  minute: 'minute',
  minutes: 'minutes',
  second: 'second',
  seconds: 'seconds',
  'a-m': 'A M',
  'p-m': 'P M',
  'the-time-is': 'the time is',
  'number-not-in-service': 'The number you have dialled is not in service.',
  'all-circuits-busy': 'All circuits are busy. Please try again later.',
  'please-hold': 'Please hold.',
  'echo-test': 'This is an echo test. You will hear everything that you say.',
  'in-the-conference': 'You are in the conference.',
  'only-one': 'You are the only one here.',
  'cannot-be-completed': 'Your call cannot be completed as dialled.',
  goodbye: 'Goodbye.',
}

/** English, with the American names of `*` and `#`. */
export const ENGLISH: LanguagePack = {
  language: 'en',
  prompts: PROMPTS,
  minus: 'minus',
  point: 'point',
  digit: (digit) => (digit === '*' ? 'star' : digit === '#' ? 'pound' : (NUMBERS[Number(digit)] as string)),
  whole,
  timeOfDay(hours, minutes, seconds, clock) {
    const names = ['the-time-is']
    if (clock === '24') names.push(...counted(hours, 'hour'), ...counted(minutes, 'minute'))
    else {
      names.push(...whole(hours % 12 === 0 ? 12 : hours % 12))
      if (minutes === 0) names.push('o-clock')
      else names.push(...(minutes < 10 ? ['oh'] : []), ...whole(minutes))
      names.push(hours < 12 ? 'a-m' : 'p-m')
    }
    if (seconds > 0) names.push('and', ...counted(seconds, 'second'))
    return names
  },
  duration(hours, minutes, seconds) {
    const names = [
      ...(hours > 0 ? counted(hours, 'hour') : []),
      ...(minutes > 0 ? counted(minutes, 'minute') : []),
      ...(seconds > 0 ? counted(seconds, 'second') : []),
    ]
    return names.length > 0 ? names : counted(0, 'second')
  },
}

function counted(value: number, unit: 'hour' | 'minute' | 'second'): readonly string[] {
  return [...whole(value), value === 1 ? unit : `${unit}s`]
}

function whole(value: number): readonly string[] {
  if (value < 20) return [NUMBERS[value] as string]
  if (value < 100) {
    const ten = TENS[Math.floor(value / 10) - 2] as string
    return value % 10 === 0 ? [ten] : [ten, NUMBERS[value % 10] as string]
  }
  const [size, name] = value < 1000 ? [100, 'hundred'] : value < 1_000_000 ? [1000, 'thousand'] : [1_000_000, 'million']
  const rest = value % (size as number)
  const head = [...whole(Math.floor(value / (size as number))), name as string]
  return rest === 0 ? head : [...head, ...whole(rest)]
}
