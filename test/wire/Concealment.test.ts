import { expect, it } from "vitest"
import { conceal } from "effect-rill/wire/Concealment"

it("hides secrets, and what looks like a key, whole or masked", () => {
  expect(conceal("the key secret-1 of secret-1", ["secret-1"])).toBe("the key <redacted> of <redacted>")
  expect(conceal("sk-proj-abcdef, gsk_no, sk-****wxyz and xai-123456.", [])).toBe(
    "<redacted>, gsk_no, <redacted> and <redacted>."
  )
})

it("leaves what is too short to be a secret", () => {
  expect(conceal("a test of the seven77", ["test", "seven77", ""])).toBe("a test of the seven77")
})
