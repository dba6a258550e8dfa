// Sixteen bits are what a sample has.

/** `value` held within the range of a 16-bit sample. */
export function saturate(value: number): number {
  return value > 32_767 ? 32_767 : Math.max(value, -32_768)
}
