/**
 * Text that is cut anywhere, given on in whole characters.
 *
 * A delta may end in the middle of a surrogate pair. Encoded alone, each half becomes U+FFFD, so the
 * first half waits for the other.
 *
 * @internal
 */
export class WholeCharacters {
  private half = ""

  /** What can be written of the text so far. */
  take(text: string): string {
    const whole = this.half + text
    const last = whole.charCodeAt(whole.length - 1)
    const cut = last >= 0xd800 && last <= 0xdbff
    this.half = cut ? whole.slice(-1) : ""
    return cut ? whole.slice(0, -1) : whole
  }

  /** What is left when no more text comes. */
  rest(): string {
    const { half } = this
    this.half = ""
    return half
  }
}
