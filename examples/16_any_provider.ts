// Any provider by its name, for programs whose users choose: MODEL=anthropic/claude-haiku-4-5.
// The key is read from that provider's own variable.
import * as Rill from "effect-rill/promise/Rill"

await using rill = Rill.from(process.env["MODEL"] ?? "openai/gpt-4.1-mini")

for await (const text of rill.stream("Tell me a story")) process.stdout.write(text)
