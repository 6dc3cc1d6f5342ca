/** The text that the server gives, a token at a time, and how one checks that all of it has come. */

const words =
  " the river ran fast and cold below the old mill where nobody had turned a wheel since the last war but the boy still went there every morning to see whether the water had come back".split(
    /(?= )/
  )

/** Mostly words of English; now and then what JSON escapes, and what is not ASCII. */
const rare = ['."\n\n', " naïve", ' "so', " 雨", " 😀", "\tC:\\"]

/** After so many tokens the text begins anew: what comes before is made once. */
export const period = 10_000

export const token = (index: number): string => {
  const i = index % period
  return i % 40 === 39 ? rare[((i / 40) % rare.length) | 0]! : words[(i * 7) % words.length]!
}

/** Length and hash of a text. It does not matter how the text is cut. */
export class Digest {
  length = 0
  hash = 0

  add(text: string): undefined {
    let { hash } = this
    for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
    this.hash = hash
    this.length += text.length
  }

  /** Throws where the text is another than that of so many tokens. */
  verify(tokens: number): void {
    const { hash, length } = expected(tokens)
    if (length !== this.length) throw new Error(`the text has ${this.length} characters, not ${length}`)
    if (hash !== this.hash) throw new Error(`the text has the right length, ${length}, and is another`)
  }
}

const known = new Map<number, Digest>()

const expected = (tokens: number): Digest => {
  let digest = known.get(tokens)
  if (digest === undefined) {
    digest = new Digest()
    for (let i = 0; i < tokens; i++) digest.add(token(i))
    known.set(tokens, digest)
  }
  return digest
}
