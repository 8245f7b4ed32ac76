/** @file Refuses to write with a model that fills blanks. */
import { UserError } from '../errors.ts';

/** Throws a UserError where a model is masked. */
export function expectCausal(name: string, { isCausal }: { readonly isCausal: boolean }): void {
  if (isCausal) return;
  throw new UserError(
    'incompatible',
    `${name}: fills blanks, so it cannot write on; wanted a causal model, such as a Llama ("lorikeet predict" takes either)`,
  );
}
