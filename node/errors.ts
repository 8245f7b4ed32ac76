/** @file A user's mistake: one line with what, where, got, wanted and the next step, and a fixed exit code. A leaf. */

/** The exit codes of every command. */
export const EXIT = { ok: 0, bug: 1, usage: 2, incompatible: 3, unreachable: 4, storage: 5, interrupted: 130 } as const;

/** What each says. */
export const EXIT_MEANS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done; also where `lorikeet leave` has ended a peer',
  bug: 'a bug; what was saved is kept',
  usage: 'a mistake in the command, a file or a port',
  incompatible:
    "it does not fit: the run is over, another run, other texts than the state's, another base model, or a machine that cannot train (`lorikeet doctor`); three rounds in a row gave numbers that are not finite",
  unreachable: 'nobody answers, nobody came, nothing was mixed, or no peer is at work there',
  storage: 'a state or a folder cannot be read or written',
  interrupted: 'stopped with Ctrl-C or SIGTERM, state kept',
};

export type Mistake = 'usage' | 'incompatible' | 'unreachable' | 'storage';

export class UserError extends Error {
  readonly mistake: Mistake;

  /** `cause`: what the system threw, where that matters to who catches it. */
  constructor(mistake: Mistake, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'UserError';
    this.mistake = mistake;
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno code of a failed system call, or an empty string. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
