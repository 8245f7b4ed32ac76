/** @file A user's mistake: one line with what, where, got, wanted and the next step, and a fixed exit code. A leaf. */

/** The exit codes of every command. */
export const EXIT = { ok: 0, bug: 1, usage: 2, incompatible: 3, unreachable: 4, storage: 5, interrupted: 130 } as const;

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
