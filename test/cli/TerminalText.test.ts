import { describe, expect, it } from "vitest"
import * as TerminalText from "../../src/cli/TerminalText.ts"

const whole = (text: string) => TerminalText.makeFilter()(text)

const byCharacter = (text: string) => {
  const filter = TerminalText.makeFilter()
  return Array.from(text, filter).join("")
}

const cases: ReadonlyArray<readonly [what: string, text: string, shown: string]> = [
  ["plain text", "tea, 茶, ☕\n\tand cake", "tea, 茶, ☕\n\tand cake"],
  ["colour", "\x1b[1;31mred\x1b[0m", "red"],
  ["clearing the screen", "a\x1b[2J\x1b[Hb", "ab"],
  ["a title, ended by BEL", "a\x1b]0;owned\x07b", "ab"],
  ["a title, ended by ST", "a\x1b]0;owned\x1b\\b", "ab"],
  ["a link", "\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\", "here"],
  ["a clipboard write", "a\x1b]52;c;cm0gLXJm\x07b", "ab"],
  ["a device control string", "a\x1bP1;2|x\x1b\\b", "ab"],
  ["C1 CSI", "a\x9b31mb", "ab"],
  ["C1 OSC, ended by C1 ST", "a\x9d0;owned\x9cb", "ab"],
  ["a character set", "a\x1b(0b", "ab"],
  ["a reset", "a\x1bcb", "ab"],
  ["overwriting", "rm -rf /\rls\b\b\x7f", "rm -rf /ls"],
  ["Windows line ends", "a\r\nb", "a\nb"],
  ["a bell", "a\x07b", "ab"],
  ["a sequence that a line feed cuts", "a\x1b]0;never ends\nb", "a\nb"],
  ["a sequence that is called off", "a\x1b[31\x18b", "ab"],
  ["a sequence cut by text", "a\x1b[31茶b", "a茶b"],
  ["a string cut by another sequence", "a\x1b]0;x\x1b[31mb", "ab"]
]

describe("TerminalText", () => {
  it.each(cases)("%s", (_, text, shown) => {
    expect(whole(text)).toBe(shown)
    expect(byCharacter(text)).toBe(shown)
  })

  it("does not lose the rest of an answer to a sequence that never ends", () => {
    expect(whole(`\x1b]0;${"x".repeat(10_000)}`).length).toBeGreaterThan(5000)
  })

  it("makes one line of what a message has", () => {
    expect(TerminalText.line(" a\n\n b\x1b[31m\tc ")).toBe("a b c")
  })
})
