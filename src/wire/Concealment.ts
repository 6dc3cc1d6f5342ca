/**
 * Hides keys in words that come from elsewhere.
 *
 * @since 0.1.0
 */

/**
 * What stands for a key.
 *
 * @category constants
 * @since 0.1.0
 */
export const concealed = "<redacted>"

/**
 * The least length of a secret, in characters: 8. A shorter one would stand in any text.
 *
 * @category constants
 * @since 0.1.0
 */
export const minSecretLength = 8

/**
 * What looks like a key, whole or masked by its provider: `sk-…`, `gsk-…`, `xai-…` and their kin.
 * Global: for `replace` and `matchAll`.
 *
 * @category constants
 * @since 0.1.0
 */
export const keyPattern = /\b(?:sk|pk|gsk|xai|key)-[\w*-]{6,}/g

/**
 * Hides secrets, and what looks like a key, in a text: some providers quote the key, or most of it, in
 * their errors. Secrets are found as they are, and as JSON or a URL spells them.
 *
 * @category concealing
 * @since 0.1.0
 */
export const conceal = (text: string, secrets: ReadonlyArray<string>): string => {
  let out = text
  for (const secret of secrets) {
    if (secret.length < minSecretLength || secret.length > text.length) continue
    for (const spelling of spellings(secret)) out = out.replaceAll(spelling, concealed)
  }
  return out.replace(keyPattern, concealed)
}

const spellings = (text: string): ReadonlySet<string> => {
  const json = JSON.stringify(text).slice(1, -1)
  const ascii = json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
  // Python escapes what is not ASCII, PHP each slash.
  const slashes = [json, ascii].map((spelling) => spelling.replaceAll("/", "\\/"))
  return new Set([text, json, ascii, ...slashes, encodeURIComponent(text.toWellFormed())])
}
