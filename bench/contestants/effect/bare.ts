/** Plain Effect with the modules of effect that ours imports, and nothing of ours: the least cold start there is. */
import type { Contestant, Target } from "../../Contestant.ts"
import { effectModules } from "../../harness/effectModules.ts"
import type { Client } from "./clients.ts"

export const make = async (client: Client, target: Target): Promise<Contestant> => {
  const provider = { chat: "OpenAi", responses: "OpenAi", anthropic: "Anthropic", ollama: "Ollama" }[target.protocol]
  const [plain] = await Promise.all([import("./plain.ts"), import(effectModules(["Llm", `provider/${provider}`]))])
  return plain.make(client, target)
}
