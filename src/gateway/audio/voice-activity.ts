// Voice activity: whether a frame is speech or the pause between, by its level above a noise floor that follows the line.

import { levelDbov } from '#gateway/audio/level.ts'

/** Quieter than this is never speech; louder than that always is. */
const SPEECH_MIN_DBOV = -60
const SPEECH_SURE_DBOV = -20
/** Speech stands above the floor by this. */
const ABOVE_FLOOR_DB = 9
/** The floor follows quieter frames at once and louder ones slowly, but not speech. */
const FLOOR_RISE_DB_PER_S = 4
const FLOOR_FIRST_DBOV = -55
const FLOOR_MAX_DBOV = -30
/** A lower floor decides nothing, and would only take long to rise: a line that begins with digital silence is no quiet line. */
const FLOOR_MIN_DBOV = SPEECH_MIN_DBOV - ABOVE_FLOOR_DB
/** Ends of words are quiet: a pause begins only after this. */
const HANGOVER_MS = 200

/** The judgement of one stream, frame after frame. */
export class VoiceActivity {
  readonly #sampleRate: number
  #floorDbov = FLOOR_FIRST_DBOV
  #hangoverMs = 0
  /** The level of the last frame in dBov. */
  levelDbov = -127

  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate
  }

  /** True while the frame belongs to speech. */
  observe(samples: Int16Array): boolean {
    const level = levelDbov(samples, samples.length)
    const frameMs = (samples.length * 1000) / this.#sampleRate
    this.levelDbov = level
    if (level < this.#floorDbov) this.#floorDbov += (level - this.#floorDbov) * 0.5
    else this.#floorDbov = Math.min(FLOOR_MAX_DBOV, this.#floorDbov + (FLOOR_RISE_DB_PER_S * frameMs) / 1000)
    this.#floorDbov = Math.max(this.#floorDbov, FLOOR_MIN_DBOV)
    const speech = level > SPEECH_SURE_DBOV || (level > SPEECH_MIN_DBOV && level > this.#floorDbov + ABOVE_FLOOR_DB)
    if (speech) this.#hangoverMs = HANGOVER_MS
    else this.#hangoverMs = Math.max(0, this.#hangoverMs - frameMs)
    return speech || this.#hangoverMs > 0
  }
}
