// No Effect in sight: promises, `for await`, AbortSignal and real errors.
import * as Rill from "effect-rill/promise/Rill"

await using rill = Rill.fromOpenAi("gpt-4o-mini")

try {
  for await (const text of rill.stream("Tell me a story", { signal: AbortSignal.timeout(60_000) })) {
    process.stdout.write(text)
  }
  const { text, usage } = await rill.run([{ role: "user", content: "And its moral?" }])
  console.log(`\n${text} (${usage.outputTokens} tokens)`)
} catch (error) {
  if (!(error instanceof Rill.RillError)) throw error
  switch (error.reason) {
    case "Authentication":
      console.error("Set OPENAI_API_KEY to your key")
      break
    case "RateLimited":
      console.error(`Too many requests: try again in ${error.retryAfter ?? 1000} ms`)
      break
    default:
      console.error(error.message)
  }
  process.exitCode = 1
}
