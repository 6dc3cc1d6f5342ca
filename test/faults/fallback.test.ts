/** The fault matrix under fallback. */
import { describeFaults } from "../support/describeFaults.ts"

describeFaults(["fallback, fail", "fallback, continue", "fallback, restart"])
