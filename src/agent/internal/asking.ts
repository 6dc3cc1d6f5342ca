import * as Prompt from "effect/ai/Prompt"

/** A message as the user's: what an agent itself has to say to a model goes by this way. */
export const userMessage = (text: string): Prompt.Message =>
  Prompt.userMessage({ content: [Prompt.textPart({ text })] })

/** A history and one more thing to say, which is not kept. */
export const asking = (history: Prompt.Prompt, text: string): Prompt.Prompt =>
  Prompt.fromMessages([...history.content, userMessage(text)])
