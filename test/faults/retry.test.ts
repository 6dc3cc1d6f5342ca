/** The fault matrix under retry. */
import { describeFaults } from "../support/describeFaults.ts"

describeFaults(["retry, fail", "retry, continue", "retry, restart"])
