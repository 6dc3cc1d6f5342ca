/**
 * What the platform says of a file, as a reason of ours.
 *
 * @internal
 */
import type { PlatformError, SystemErrorTag } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as FileError from "../FileError.ts"

type Make = (reported: { readonly message: string; readonly code?: string }) => FileError.Reason

const notFound: Make = (reported) => new FileError.NotFound(reported)
const denied: Make = (reported) => new FileError.PermissionDenied(reported)
const noSpace: Make = (reported) => new FileError.NoSpace(reported)
const notAFile: Make = (reported) => new FileError.NotAFile(reported)
const invalid: Make = (reported) => new FileError.InvalidPath(reported)
const busy: Make = (reported) => new FileError.Busy(reported)
const failed: Make = (reported) => new FileError.WriteFailed(reported)

interface Known {
  readonly make: Make
  readonly message: string
}

const missing: Known = {
  make: notFound,
  message: "the folder that it is to be in does not exist. Make it first, or write elsewhere."
}
const forbidden: Known = {
  make: denied,
  message:
    "this user may not write it, or may make no file in its folder. Change their permissions, or write elsewhere."
}
const tooManyOpen: Known = {
  make: busy,
  message: "too many files are open. Write fewer at once, or raise the limit (`ulimit -n`)."
}
const inUse: Known = {
  make: busy,
  message: "it is in use, or mounted by itself, so that it cannot be replaced. Try again later, or write elsewhere."
}
const notAFolder: Known = {
  make: invalid,
  message: "something before the last name of the path is not a folder. Correct the path."
}
const folder: Known = {
  make: notAFile,
  message: "this is a folder. Add the name of a file to the path."
}
const circle: Known = {
  make: invalid,
  message: "its symbolic links go round in a circle. Correct them, or write elsewhere."
}

/** By the system's code: effect's own tags do not know a full disk, and know more than one code by one tag. */
const codes: Readonly<Record<string, Known>> = {
  ENOENT: missing,
  ENOTDIR: notAFolder,
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: {
    make: denied,
    message: "its file system can only be read. Mount it for writing, or write elsewhere."
  },
  ENOSPC: { make: noSpace, message: "the disk is full. Make room, or write elsewhere." },
  EDQUOT: { make: noSpace, message: "the disk quota is used up. Make room, or write elsewhere." },
  EFBIG: {
    make: noSpace,
    message: "it is larger than a file may be here (`ulimit -f`, or the file system). Write elsewhere."
  },
  EISDIR: folder,
  ENXIO: {
    make: notAFile,
    message: "this is a socket, or a device that is not there. Give the path of a file."
  },
  ELOOP: circle,
  ENAMETOOLONG: {
    make: invalid,
    message:
      "the path or a name in it is too long. In mode `atomic` 41 characters are added to the name while it is written."
  },
  EBUSY: inUse,
  ETXTBSY: inUse,
  EMFILE: tooManyOpen,
  ENFILE: tooManyOpen
}

/** For file systems that give no code. */
const tags: Readonly<Partial<Record<SystemErrorTag, Known>>> = {
  NotFound: missing,
  PermissionDenied: forbidden,
  BadResource: folder,
  Busy: inUse
}

export const fromPlatform = ({ reason }: PlatformError): FileError.Reason => {
  if (reason._tag === "BadArgument") {
    return invalid({ message: "the system takes no such path. Correct it." })
  }
  const code = codeOf(reason.cause)
  const known = (code === undefined ? undefined : codes[code]) ?? tags[reason._tag]
  const { make, message } = known ?? {
    make: failed,
    message: `the system could not write it (${code ?? reason._tag}). Look at the disk, or write elsewhere.`
  }
  return make({ message, ...(code === undefined ? undefined : { code }) })
}

/** The path is a symbolic link whose end does not exist. */
export const danglingLink: FileError.Reason = notFound({
  message: "this is a symbolic link to a file that does not exist. Make that file, or give its path."
})

/** What is there would be replaced by a file. */
export const special = (type: string): FileError.Reason =>
  type === "Directory"
    ? folder.make({ message: folder.message })
    : notAFile({
        message: `this is no regular file (${type}), and mode \`atomic\` would replace it. Take mode \`append\`.`
      })

const codeOf = (cause: unknown): string | undefined =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined
