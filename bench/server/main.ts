/** The server's process. It says where it is, then who went away. */
import { make } from "./Server.ts"

const server = await make((abandoned) => process.send?.(abandoned))
process.on("message", () => server.reset())
process.on("disconnect", () => process.exit())
process.send!(server.url)
